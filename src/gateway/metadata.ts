/** Protected resource metadata (RFC 9728), for Resources whose identifier is an https URL. */
import type { ServerResponse } from 'node:http';
import { DPOP_ALG } from '../tokens/dpop.ts';
import type { ServedResource } from './zoneState.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** Where the metadata of an identifier is (RFC 9728 §3.1): before its path; undefined for other URIs. */
export function toMetadataURL(identifier: string): string | undefined {
  if (!identifier.startsWith('https://') || !URL.canParse(identifier)) return undefined;
  const { origin, pathname, search } = new URL(identifier);
  return `${origin}${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
}

/** Whether a request's target is where the metadata is, or its place without the identifier's path. */
export function isMetadataTarget(target: string, { metadataURL }: ServedResource): boolean {
  if (metadataURL === undefined || !target.startsWith(WELL_KNOWN)) return false;
  return target === WELL_KNOWN || metadataURL.endsWith(target);
}

export function sendMetadata(
  response: ServerResponse,
  { resource }: ServedResource,
  { issuer, requestID }: { readonly issuer: string; readonly requestID: string },
): void {
  const body = JSON.stringify({
    resource: resource.identifier,
    authorization_servers: [issuer],
    scopes_supported: resource.scopes,
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: [DPOP_ALG],
    ...(resource.proof_of_possession === 'Required' && { dpop_bound_access_tokens_required: true }),
  });
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': requestID,
  });
  response.end(body);
}
