/** Which Resource a request is for: the one that a listener protects, or the one that an edge's routing headers name. */
import type { IncomingMessage } from 'node:http';
import { normalizeName } from '../http/headers.ts';
import { refuse, type Refusal } from './refusal.ts';
import type { FindTarget, Target } from './serve.ts';
import { ForbiddenUpstream, type EdgeUpstreams } from './upstreams.ts';
import type { Upstream } from './forward.ts';
import type { GatewayZone } from './zone.ts';

const NOT_KNOWN = refuse(
  'sts_unavailable',
  'the Resource is not part of the configuration that this gateway may serve',
  { retryAfter: 1 },
);

/** `name`: `<namespace>/<name>` of the Resource. */
export function protectTarget(zone: GatewayZone, name: string, upstream: Upstream): FindTarget {
  return () => {
    const served = zone.resourceByName(name);
    return served ? { zone, served, upstream, host: undefined, tellsIdentity: true } : NOT_KNOWN;
  };
}

/** By `X-Caracal-Resource`, and `X-Caracal-Zone` where several zones have the identifier. */
export function edgeTarget(zones: readonly GatewayZone[], upstreams: EdgeUpstreams): FindTarget {
  return (request) => {
    const identifier = single(request, 'x-caracal-resource');
    const zoneID = single(request, 'x-caracal-zone');
    if (zoneID === AMBIGUOUS) return refuse('invalid_request', 'X-Caracal-Zone is sent once or not at all');
    if (identifier === undefined || identifier === AMBIGUOUS)
      return refuse('invalid_request', 'X-Caracal-Resource is required, once: the identifier of the Resource');
    const candidates = zones.filter((zone) => zoneID === undefined || zone.zoneID === zoneID);
    const found = candidates.flatMap((zone) => {
      const served = zone.upstreamResource(identifier);
      return served ? [{ zone, served }] : [];
    });
    const [only, another] = found;
    if (another) return refuse('invalid_request', 'several zones have this Resource: name one with X-Caracal-Zone');
    if (only) return toEdgeTarget(only, upstreams);
    const isKnown = candidates.every((zone) => zone.isFresh());
    return isKnown ? refuse('resource_not_found', 'no zone of this edge has the Resource with an upstream') : NOT_KNOWN;
  };
}

function toEdgeTarget(found: Pick<Target, 'zone' | 'served'>, upstreams: EdgeUpstreams): Target | Refusal {
  const url = found.served.resource.upstream!;
  try {
    return { ...found, upstream: upstreams.to(url), host: new URL(url).host, tellsIdentity: false };
  } catch (error) {
    if (error instanceof ForbiddenUpstream) return refuse('upstream_unavailable', error.message);
    throw error;
  }
}

const AMBIGUOUS = Symbol('more than one value, or a disguised one');

function single({ rawHeaders }: IncomingMessage, name: string): string | typeof AMBIGUOUS | undefined {
  let found: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const sent = rawHeaders[index]!;
    if (sent.length !== name.length || normalizeName(sent) !== name) continue;
    if (found !== undefined || sent.toLowerCase() !== name) return AMBIGUOUS;
    found = rawHeaders[index + 1]!;
  }
  return found;
}
