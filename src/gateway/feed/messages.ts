/** Text of the feed's events → their types; anything else throws, since half a message must not be half believed. */
import type {
  AuthorityChange,
  FeedConfig,
  FeedEpoch,
  FeedHeartbeat,
  FeedHello,
  FeedKeys,
  FeedResource,
} from '../../authority/feed.ts';

type Members = Readonly<Record<string, unknown>>;

/** Every parser throws TypeError naming the member. */
export function parseHello(text: string): FeedHello {
  const members = parseMembers(text);
  return { stream_id: toText(members, 'stream_id'), incarnation: toText(members, 'incarnation') };
}

export function parseKeys(text: string): FeedKeys {
  const keys = toList(parseMembers(text), 'keys').map((key) => {
    const members = toMembers(key, 'keys');
    return { kid: toText(members, 'kid'), x: toText(members, 'x'), y: toText(members, 'y') };
  });
  return { keys };
}

export function parseHeartbeat(text: string): FeedHeartbeat {
  const members = parseMembers(text);
  const nonce = members['nonce'] === null ? null : toText(members, 'nonce');
  return { nonce, epoch: toCount(members, 'epoch') };
}

export function parseEpoch(text: string): FeedEpoch {
  const members = parseMembers(text);
  return { epoch: toCount(members, 'epoch'), change: toChange(toMembers(members['change'], 'change')) };
}

export function parseConfig(text: string): FeedConfig {
  const members = parseMembers(text);
  return {
    zone_id: toText(members, 'zone_id'),
    zone_uid: toText(members, 'zone_uid'),
    issuer: toText(members, 'issuer'),
    stale_after_ms: toCount(members, 'stale_after_ms'),
    frozen: toBoolean(members, 'frozen'),
    epoch: toCount(members, 'epoch'),
    resources: toList(members, 'resources').map((resource) => toResource(toMembers(resource, 'resources'))),
    digest: toText(members, 'digest'),
  };
}

function toChange(members: Members): AuthorityChange {
  const [applications, resources] = [toTexts(members, 'applications'), toTexts(members, 'resources')];
  return {
    ...{ all: toBoolean(members, 'all'), applications, resources },
    ...(members['sessions'] !== undefined && { sessions: toTexts(members, 'sessions') }),
    ...(members['edges'] !== undefined && { edges: toTexts(members, 'edges') }),
  };
}

function toResource(members: Members): FeedResource {
  const enforcement = members['operation_enforcement'];
  if (enforcement !== 'Declared' && enforcement !== 'Uniform') throw wrong('operation_enforcement');
  const possession = members['proof_of_possession'];
  if (possession !== 'Optional' && possession !== 'Required') throw wrong('proof_of_possession');
  return {
    identifier: toText(members, 'identifier'),
    namespace: toText(members, 'namespace'),
    name: toText(members, 'name'),
    scopes: toTexts(members, 'scopes'),
    operations: toList(members, 'operations').map((operation) => {
      const parts = toMembers(operation, 'operations');
      const scopes = toTexts(parts, 'scopes');
      // An operation that needs nothing would be open to every mandate.
      if (scopes.length === 0) throw wrong('scopes');
      return { methods: toTexts(parts, 'methods'), path: toText(parts, 'path'), scopes };
    }),
    operation_enforcement: enforcement,
    forward_mandate: toBoolean(members, 'forward_mandate'),
    single_use: toBoolean(members, 'single_use'),
    proof_of_possession: possession,
    ...(members['upstream'] !== undefined && { upstream: toText(members, 'upstream') }),
  };
}

function parseMembers(text: string): Members {
  return toMembers(JSON.parse(text) as unknown, 'data');
}

function toMembers(value: unknown, name: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw wrong(name);
}

function toText(members: Members, name: string): string {
  const value = members[name];
  if (typeof value === 'string') return value;
  throw wrong(name);
}

function toCount(members: Members, name: string): number {
  const value = members[name];
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw wrong(name);
}

function toBoolean(members: Members, name: string): boolean {
  const value = members[name];
  if (typeof value === 'boolean') return value;
  throw wrong(name);
}

function toList(members: Members, name: string): readonly unknown[] {
  const value = members[name];
  if (Array.isArray(value)) return value;
  throw wrong(name);
}

function toTexts(members: Members, name: string): readonly string[] {
  const list = toList(members, name);
  if (list.every((one) => typeof one === 'string')) return list;
  throw wrong(name);
}

function wrong(name: string): TypeError {
  return new TypeError(`an event of the feed has a wrong ${name}`);
}
