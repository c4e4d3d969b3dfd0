/** Connections to upstreams: the app beside a gateway, or, at an edge, a URL whose address is judged when it is dialled. */
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, Pool } from 'undici';
import { isForbiddenAddress } from '../tokens/addresses.ts';
import type { Upstream } from './forward.ts';

const CONNECT_MS = 5000;
/** Until the first byte of an answer. After that the active requests are watched: a stream may be silent. */
const ANSWER_MS = 300_000;
const OPTIONS = {
  pipelining: 1,
  headersTimeout: ANSWER_MS,
  bodyTimeout: 0,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 32 * 1024,
};

export interface Closable {
  close(): Promise<void>;
}

/** `host:port` of the app. */
export function createAppUpstream(target: string): Upstream & Closable {
  const origin = `http://${target}`;
  const dispatcher = new Pool(origin, { ...OPTIONS, connect: { timeout: CONNECT_MS }, connections: 256 });
  return { dispatcher, origin, basePath: '', close: () => dispatcher.destroy() };
}

export interface EdgeUpstreams extends Closable {
  /** Throws where the URL names an address that is never dialled. */
  to(url: string): Upstream;
}

export function createEdgeUpstreams(allowRanges: readonly string[]): EdgeUpstreams {
  const dispatcher = new Agent({
    ...OPTIONS,
    connect: { timeout: CONNECT_MS, lookup: createGuardedLookup(allowRanges) },
    connections: 256,
  });
  return {
    to(text) {
      const url = new URL(text);
      const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
      if (isIP(host) !== 0 && isForbiddenAddress(host, allowRanges)) throw new ForbiddenUpstream();
      return { dispatcher, origin: url.origin, basePath: url.pathname.replace(/\/+$/, '') };
    },
    close: () => dispatcher.destroy(),
  };
}

export class ForbiddenUpstream extends Error {
  override readonly name = 'ForbiddenUpstream';
  constructor() {
    super('the upstream has an address that is not dialled; the operator can allow its range');
  }
}

/** The address that was judged is the one that is dialled: a second answer of the resolver cannot differ. */
function createGuardedLookup(allowRanges: readonly string[]): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true, order: 'verbatim' }, (error, addresses) => {
      const permitted = error
        ? []
        : (addresses as LookupAddress[]).filter(({ address }) => !isForbiddenAddress(address, allowRanges));
      const first = permitted[0];
      if (error || !first) callback(error ?? new ForbiddenUpstream(), '', 0);
      else if (options.all) callback(null, permitted);
      else callback(null, first.address, first.family);
    });
  };
}
