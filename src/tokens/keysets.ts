/** The keys of issuers as they are kept: fetched once for all who ask, kept for minutes, and for an hour if need be. */
import type { Clock } from '../authority/clock.ts';
import type { KeySource, PublicJWK } from '../authority/snapshot.ts';
import { createKeySetRequests, KeySetUnavailable } from './keySetRequest.ts';
import { createLRU } from './lru.ts';

export { KeySetUnavailable } from './keySetRequest.ts';

export interface KeySetsConfig {
  readonly clock: Clock;
  /** Ranges that `jwksURL` may reach though they are not public; plain http only there. */
  readonly allowRanges: readonly string[];
  readonly fetchTimeoutMs?: number;
}

/** Both reject with KeySetUnavailable only; `nowMs` is Unix milliseconds. */
export interface KeySets {
  get(source: KeySource, nowMs: number): Promise<readonly PublicJWK[]>;
  /** After `unknown_key`: fetches at most every 30 s per URL, else answers what is there. */
  refresh(source: KeySource, nowMs: number): Promise<readonly PublicJWK[]>;
  close(): Promise<void>;
}

const FRESH_MS = 5 * 60_000;
const USABLE_MS = 60 * 60_000;
const REFRESH_EVERY_MS = 30_000;
const RETRY_AFTER_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 5000;
const MAX_URLS = 1024;

interface Kept {
  keys: { readonly list: readonly PublicJWK[]; readonly at: number } | undefined;
  failure: { readonly error: KeySetUnavailable; readonly at: number } | undefined;
  refreshedAt: number | undefined;
  inFlight: Promise<void> | undefined;
}

/** Throws TypeError for an allowed range that is none. */
export function createKeySets({ clock, allowRanges, fetchTimeoutMs = DEFAULT_TIMEOUT_MS }: KeySetsConfig): KeySets {
  const requests = createKeySetRequests(allowRanges, fetchTimeoutMs);
  const kept = createLRU<Kept>(MAX_URLS);
  const load = async (url: string, entry: Kept, nowMs: number) => {
    entry.inFlight ??= fetchInto(url, entry).finally(() => (entry.inFlight = undefined));
    await entry.inFlight;
    return answer(entry, nowMs);
  };
  const fetchInto = async (url: string, entry: Kept) => {
    try {
      const list = await requests.fetch(url);
      entry.keys = { list, at: clock.now() };
      entry.failure = undefined;
    } catch (error) {
      if (!(error instanceof KeySetUnavailable)) throw error;
      entry.failure = { error, at: clock.now() };
    }
  };
  const get = async (source: KeySource, nowMs: number) => {
    if (source.jwks) return source.jwks.keys;
    const url = requireURL(source);
    const entry = keptFor(kept, url);
    if (entry.keys && isWithin(entry.keys.at, nowMs, FRESH_MS)) return entry.keys.list;
    if (entry.failure && isWithin(entry.failure.at, nowMs, RETRY_AFTER_MS)) return answer(entry, nowMs);
    return load(url, entry, nowMs);
  };
  return {
    get,
    async refresh(source, nowMs) {
      if (source.jwks) return source.jwks.keys;
      const url = requireURL(source);
      const entry = keptFor(kept, url);
      if (entry.refreshedAt !== undefined && isWithin(entry.refreshedAt, nowMs, REFRESH_EVERY_MS)) {
        return entry.inFlight ? load(url, entry, nowMs) : get(source, nowMs);
      }
      entry.refreshedAt = nowMs;
      return load(url, entry, nowMs);
    },
    close: () => requests.close(),
  };
}

function requireURL({ jwksURL }: KeySource): string {
  if (jwksURL !== undefined) return jwksURL;
  throw new KeySetUnavailable('neither jwks nor jwksURL is set; set one');
}

function keptFor(kept: ReturnType<typeof createLRU<Kept>>, url: string): Kept {
  const known = kept.get(url);
  if (known) return known;
  const entry: Kept = { keys: undefined, failure: undefined, refreshedAt: undefined, inFlight: undefined };
  kept.set(url, entry);
  return entry;
}

/** What is kept as long as it is usable, else why there is nothing. */
function answer({ keys, failure }: Kept, nowMs: number): readonly PublicJWK[] {
  if (keys && isWithin(keys.at, nowMs, USABLE_MS)) return keys.list;
  throw failure?.error ?? new KeySetUnavailable('jwksURL was not fetched yet');
}

/** A wall clock may have been set back meanwhile: the distance counts either way. */
function isWithin(at: number, now: number, milliseconds: number): boolean {
  return Math.abs(now - at) < milliseconds;
}
