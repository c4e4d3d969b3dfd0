/** `caracal audit list`: decisions as a table or JSON, newest first. */
import type { DecisionRecord } from '../authority/decision.ts';
import type { LoggedDecision } from '../store/logReads.ts';
import { withReader } from './auditStore.ts';
import { toPrintable } from './printable.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import { toTable } from './table.ts';

export interface AuditListOptions {
  readonly zone?: string;
  readonly application?: string;
  readonly outcome?: DecisionRecord['outcome'];
  readonly kind?: DecisionRecord['kind'];
  readonly since?: string;
  readonly limit: string;
  readonly data: string;
  readonly output: 'table' | 'json';
}

export function runAuditList(options: AuditListOptions, runtime: Runtime): ExitCode {
  const limit = parseLimit(options.limit);
  const matches = toFilter(options);
  const found = withReader(options.data, runtime, (reader) => take(reader.logged(), matches, limit));
  runtime.out(options.output === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : toListing(found));
  return 0;
}

/** What the records themselves say decides, not the columns that stand beside them. */
function toFilter(options: AuditListOptions): (logged: LoggedDecision) => boolean {
  const { zone, application, outcome, kind } = options;
  const since = options.since === undefined ? undefined : parseTime(options.since);
  return ({ record }) =>
    (zone === undefined || record.zoneID === zone) &&
    (application === undefined || record.request?.principal.applicationID === application) &&
    (outcome === undefined || record.outcome === outcome) &&
    (kind === undefined || record.kind === kind) &&
    (since === undefined || record.at >= since);
}

function take<T>(items: Iterable<T>, matches: (item: T) => boolean, limit: number): readonly T[] {
  const taken: T[] = [];
  for (const item of items) {
    if (matches(item)) taken.push(item);
    if (taken.length === limit) break;
  }
  return taken;
}

function toListing(found: readonly LoggedDecision[]): string {
  if (found.length === 0) return 'no decisions\n';
  const head = ['TIME', 'OUTCOME', 'ZONE', 'APPLICATION', 'RESOURCE', 'SCOPES', 'REASON', 'DECISION'];
  return toTable([head, ...found.map((logged) => toCells(logged).map(toPrintable))]);
}

function toCells({ record }: LoggedDecision): readonly string[] {
  const { at, outcome, zoneID, request, consumed, id } = record;
  return [
    new Date(at).toISOString(),
    outcome,
    zoneID,
    request?.principal.applicationID ?? '-',
    request ? (request.resource ?? '(login)') : (consumed?.resource ?? '-'),
    request?.scopes.join(' ') || '-',
    toWhat(record),
    id,
  ];
}

/** Why, or what was done. */
function toWhat({ outcome, denial, error, act, consumed, activation, gateway, epoch }: DecisionRecord): string {
  if (act) return `${act.name} by ${act.by}`;
  if (consumed) return `mandate ${outcome === 'permit' ? 'spent' : 'already spent'} at ${consumed.gateway}`;
  if (gateway) return toGatewayText(gateway);
  if (!activation) return denial?.reason ?? error ?? '-';
  const { policy, revocations } = activation;
  const revoked = revocations.length === 0 ? '' : `, ${revocations.length} revoked`;
  return `configuration, epoch ${epoch}, policy ${policy ? `${policy.set}@${policy.revision}` : 'none'}${revoked}`;
}

function toGatewayText({ requests, by }: NonNullable<DecisionRecord['gateway']>): string {
  const [allowed = [], refused = []] = ['allow', 'refuse'].map((one) =>
    requests.filter(({ decision }) => decision === one),
  );
  const refusals = refused.reduce((sum, { count = 1 }) => sum + count, 0);
  return `${allowed.length} allowed, ${refusals} refused at ${by.namespace}/${by.serviceAccount}`;
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,9}$/.test(text) && limit > 0) return limit;
  throw new CommandError(`--limit "${text}" is no number above 0: write one, such as 50`, 2);
}

/** Throws a CommandError. */
export function parseTime(text: string): number {
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : NaN;
  if (Number.isFinite(time)) return time;
  throw new CommandError(`--since "${text}" is no time: write RFC 3339, such as 2026-01-31T12:00:00Z`, 2);
}
