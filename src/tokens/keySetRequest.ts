/** Fetching a key set from a URL that someone else wrote: no redirect, bounded, and only from addresses we may dial. */
import { lookup } from 'node:dns';
import { Agent, buildConnector, request } from 'undici';
import type { PublicJWK } from '../authority/snapshot.ts';
import { checkRanges, isForbiddenAddress, isInRanges } from './addresses.ts';
import { parseKeySet } from './keySetDocument.ts';

/** The keys of an issuer cannot be had now: an outage, not a wrong token. */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable';
}

export interface KeySetRequests {
  /** Rejects with KeySetUnavailable only. */
  fetch(url: string): Promise<readonly PublicJWK[]>;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;

/** Throws TypeError for a range that is none. */
export function createKeySetRequests(allowRanges: readonly string[], timeoutMs: number): KeySetRequests {
  checkRanges(allowRanges);
  const agent = new Agent({
    connect: createGuardedConnector(allowRanges, timeoutMs),
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  return {
    async fetch(url) {
      const { href, protocol, hostname } = parseURL(url);
      try {
        const parsed = parseKeySet(await download(href, agent, timeoutMs));
        if (parsed.ok) return parsed.keys;
        throw new KeySetUnavailable(`the document ${parsed.problem}`);
      } catch (error) {
        throw new KeySetUnavailable(`jwksURL at ${protocol}//${hostname}: ${describe(error, timeoutMs)}`, {
          cause: error,
        });
      }
    },
    close: () => agent.destroy(),
  };
}

function parseURL(url: string): URL {
  const parsed = URL.parse(url);
  if (!parsed || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) {
    throw new KeySetUnavailable('jwksURL is not an https URL; correct it');
  }
  if (parsed.username === '' && parsed.password === '') return parsed;
  throw new KeySetUnavailable('jwksURL must not hold a user name or password; remove it');
}

/** Every fetch has its own connection, so that its address is judged each time. */
async function download(url: string, agent: Agent, timeoutMs: number): Promise<string> {
  const { statusCode, body } = await request(url, {
    dispatcher: agent,
    reset: true,
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
  });
  if (statusCode === 200) return readBounded(body);
  // Destroying an unread body makes it emit its own abort, which would end the process.
  body.on('error', () => undefined).destroy();
  throw new KeySetUnavailable(`it answered ${statusCode}, not 200 (redirects are not followed)`);
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new KeySetUnavailable(`the document is larger than ${MAX_BODY_BYTES / 1024} KiB`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new KeySetUnavailable('the document is not UTF-8');
  }
}

/** Resolves by itself and dials what it judged, so that a second answer of the resolver cannot differ. */
function createGuardedConnector(allowRanges: readonly string[], timeoutMs: number): buildConnector.connector {
  const dial = buildConnector({ timeout: timeoutMs, allowH2: false });
  return (options, callback) => {
    const { hostname, protocol } = options;
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    lookup(host, { all: true, order: 'verbatim' }, (error, addresses) => {
      if (error) return callback(error, null);
      const chosen = chooseAddress(addresses, protocol, allowRanges);
      if (chosen instanceof KeySetUnavailable) return callback(chosen, null);
      dial({ ...options, hostname: chosen }, callback);
    });
  };
}

function chooseAddress(
  addresses: readonly { readonly address: string }[],
  protocol: string,
  allowRanges: readonly string[],
): string | KeySetUnavailable {
  const permitted = addresses.find(({ address }) => !isForbiddenAddress(address, allowRanges))?.address;
  if (permitted === undefined) {
    return new KeySetUnavailable(
      'its address is private, local or otherwise refused; allow its range if it should not be',
    );
  }
  if (protocol === 'https:' || isInRanges(permitted, allowRanges)) return permitted;
  return new KeySetUnavailable('plain http is only for ranges that the operator allows; use https');
}

function describe(error: unknown, timeoutMs: number): string {
  if (error instanceof KeySetUnavailable) return error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? `the request failed (${code})` : 'the request failed';
}
