/** What a record says of one request: who by the mandate's id, what by names that the Resource declares, never by values. */
import type { IncomingMessage } from 'node:http';
import { RECORD_BOUNDS, type GatewayRecord } from '../../authority/gatewayRecords.ts';
import type { CanonicalRequest } from '../../http/canonical.ts';
import { REFUSALS, type Refusal } from '../refusal.ts';
import type { ServedResource } from '../zoneState.ts';

export interface Recorded {
  readonly parsed?: CanonicalRequest | undefined;
  readonly target?: { readonly served: ServedResource } | undefined;
  /** Of an admitted request. */
  readonly jti?: string;
  readonly refusal?: Refusal;
}

/** `now` in Unix milliseconds. */
export function toRecord(
  { request, requestID }: { readonly request: IncomingMessage; readonly requestID: string },
  now: number,
  { parsed, target, jti, refusal }: Recorded,
): GatewayRecord {
  const operation = parsed && target?.served.operations.template(parsed.method, parsed.segments);
  const source = request.socket.remoteAddress?.replace(/^::ffff:/, '');
  const known = jti ?? (target && verifiedJTI(request, target.served, now));
  return {
    at: now,
    request_id: requestID,
    decision: refusal ? 'refuse' : 'allow',
    ...(parsed && { method: parsed.method }),
    ...(target && { resource: target.served.resource.identifier.slice(0, RECORD_BOUNDS.resource) }),
    ...(operation !== undefined && { operation: operation.slice(0, RECORD_BOUNDS.operation) }),
    ...(known !== undefined && { jti: known.slice(0, RECORD_BOUNDS.jti) }),
    ...(source !== undefined && { source: source.slice(0, RECORD_BOUNDS.source) }),
    ...(refusal && { error: refusal.code, status: REFUSALS[refusal.code].status }),
  };
}

/** Only a mandate whose signature held names anything: who sends others could make a record of each. */
function verifiedJTI({ headers }: IncomingMessage, { verified }: ServedResource, now: number): string | undefined {
  const [, token] = /^\w+ ([A-Za-z0-9._-]+)$/.exec(headers.authorization ?? '') ?? [];
  return token === undefined ? undefined : verified.get(token, now)?.jti;
}
