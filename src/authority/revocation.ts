/** Revocations: what each takes away, and whether what a request rests on was issued before it. */
import type { AgentSession, DelegationEdge } from './agents/model.ts';
import type { ExchangeRequest } from './decision.ts';
import type { ZoneSnapshot } from './snapshot.ts';
import { authorityRecordID } from './sid.ts';

export type RevocationTarget =
  | { readonly type: 'session'; readonly sid: string }
  | { readonly type: 'rootSession'; readonly rootSid: string }
  | { readonly type: 'agentSession'; readonly id: string }
  | { readonly type: 'delegationEdge'; readonly id: string }
  | { readonly type: 'mandate'; readonly jti: string }
  /** Application id, `<namespace>.<name>`. */
  | { readonly type: 'application'; readonly id: string }
  /** `issuer`: the name in the zone's subjectIssuers. */
  | { readonly type: 'subject'; readonly issuer: string; readonly sub: string }
  | { readonly type: 'resource'; readonly identifier: string }
  | { readonly type: 'everything' };

export interface RevocationEntry {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly target: RevocationTarget;
  /** Unix milliseconds, as written; undefined: what was issued before the revocation took effect. */
  readonly issuedBefore: number | undefined;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** The zone's epoch with which it took effect; undefined until the store has it. */
  readonly epoch?: number;
}

/** When something was issued: by the zone's epoch where it is ours, and by clock. */
export interface Issued {
  /** Unix milliseconds. */
  readonly at: number;
  /** Absent for what others issued, such as ID tokens. */
  readonly epoch?: number;
  readonly jti?: string;
}

/**
 * The revocation that takes away what the request rests on, if any. `issued`: the mandate under question, or now for
 * one that is yet to be issued. A session, root session, agent session, delegation edge or mandate is revoked by its
 * id, for good, and with an agent session or edge all that is below it in a chain; of the others only what was issued
 * before, so that a new login is a new beginning.
 */
export function findRevocation(
  zone: { readonly uid: string; readonly revocations: readonly RevocationEntry[] },
  request: ExchangeRequest,
  issued: Issued,
): RevocationEntry | undefined {
  if (zone.revocations.length === 0) return undefined;
  const index = indexOf(zone.revocations);
  const rests = [issued, ...(request.login ? [request.login] : [])];
  const byID = idKeys(zone.uid, request, rests).flatMap((key) => index.get(key) ?? [])[0];
  if (byID) return byID;
  for (const { rest, keys } of datedRests(request, issued)) {
    const cut = keys.flatMap((key) => index.get(key) ?? []).find((entry) => isBefore(rest, entry));
    if (cut) return cut;
  }
  return undefined;
}

type WithRevocations = Pick<ZoneSnapshot, 'revocations'>;

/** The revocation that ends an agent session itself, if any: by its id, by that of a login behind it, or by its start. */
export function findRevocationOfSession({ revocations }: WithRevocations, session: AgentSession) {
  if (revocations.length === 0) return undefined;
  const index = indexOf(revocations);
  const { id, sid, subjectSid, rootSid, application, subject, startedAt } = session;
  const logins = [sid, ...(subjectSid === undefined ? [] : [subjectSid])];
  const byID = [
    toKey({ type: 'agentSession', id }),
    ...logins.map((login) => toKey({ type: 'session', sid: login })),
    ...[rootSid, ...logins].map((login) => toKey({ type: 'rootSession', rootSid: login })),
  ];
  const users = subject.type === 'user' ? [subject] : [];
  return (
    byID.flatMap((key) => index.get(key) ?? [])[0] ??
    cutKeys([application.id], users)
      .flatMap((key) => index.get(key) ?? [])
      .find((entry) => isBefore({ at: startedAt }, entry))
  );
}

/** The revocation that ends an edge itself, if any. */
export function findRevocationOfEdge({ revocations }: WithRevocations, { id }: DelegationEdge) {
  if (revocations.length === 0) return undefined;
  return indexOf(revocations).get(toKey({ type: 'delegationEdge', id }))?.[0];
}

/** By number where both have one, since clocks differ; an instant that was written out is one of the clock. */
function isBefore({ at, epoch }: Issued, entry: RevocationEntry): boolean {
  const isNumbered = entry.issuedBefore === undefined && entry.epoch !== undefined && epoch !== undefined;
  return isNumbered ? epoch < entry.epoch! : at < (entry.issuedBefore ?? entry.createdAt);
}

/** The instance that authenticated counts as well as the session it names: revoking it stops it, whatever it names. */
function idKeys(zoneUID: string, request: ExchangeRequest, rests: readonly Issued[]): readonly string[] {
  const { principal, sid, rootSid } = request;
  const own = authorityRecordID(zoneUID, principal.applicationUID, principal.instance);
  return [
    ...[sid, own].map((id) => toKey({ type: 'session', sid: id })),
    ...[rootSid, own].map((id) => toKey({ type: 'rootSession', rootSid: id })),
    ...lineageKeys(request),
    ...rests.flatMap(({ jti }) => (jti === undefined ? [] : [toKey({ type: 'mandate', jti })])),
  ];
}

/** What a request names for itself counts even where its lineage were not told. */
function lineageKeys({ agentSessionID, delegationEdgeID, lineage }: ExchangeRequest): readonly string[] {
  const sessions = [...(agentSessionID === undefined ? [] : [agentSessionID]), ...(lineage?.sessions ?? [])];
  const edges = [...(delegationEdgeID === undefined ? [] : [delegationEdgeID]), ...(lineage?.edges ?? [])];
  return [
    ...sessions.map((id) => toKey({ type: 'agentSession', id })),
    ...edges.map((id) => toKey({ type: 'delegationEdge', id })),
    ...(lineage?.sids ?? []).flatMap((sid) => [
      toKey({ type: 'session', sid }),
      toKey({ type: 'rootSession', rootSid: sid }),
    ]),
  ];
}

/**
 * What the request rests on, each with who and what cuts it by time: of a chain each member by its own start only, so
 * that the new beginning of one is not undone by how long another has been running.
 */
function datedRests(request: ExchangeRequest, issued: Issued): readonly Dated[] {
  const { principal, subject, resource, login, lineage } = request;
  const own = [principal.applicationID];
  const user = subject.type === 'user' ? [subject] : [];
  const started = lineage?.started ?? [];
  // A login serves many Resources: revoking one of these ends its mandates, not the login.
  const target = resource === undefined ? [] : [toKey({ type: 'resource', identifier: resource })];
  const applications = [...own, ...(lineage?.applications ?? []), ...started.map((one) => one.applicationID)];
  const users = [...user, ...started.flatMap((one) => one.subject ?? [])];
  return [
    { rest: issued, keys: [...cutKeys(applications, users), ...target] },
    ...(login ? [{ rest: login, keys: cutKeys(own, lineage ? [] : user) }] : []),
    ...started.map((one) => ({ rest: one, keys: cutKeys([one.applicationID], one.subject ? [one.subject] : []) })),
  ];
}

interface Dated {
  readonly rest: Issued;
  readonly keys: readonly string[];
}

function cutKeys(
  applications: readonly string[],
  users: readonly { readonly issuer: string; readonly sub: string }[],
): readonly string[] {
  const keys = [
    toKey({ type: 'everything' }),
    ...applications.map((id) => toKey({ type: 'application', id })),
    ...users.map(({ issuer, sub }) => toKey({ type: 'subject', issuer, sub })),
  ];
  return [...new Set(keys)];
}

function toKey(target: RevocationTarget): string {
  switch (target.type) {
    case 'session':
      return JSON.stringify([target.type, target.sid]);
    case 'rootSession':
      return JSON.stringify([target.type, target.rootSid]);
    case 'mandate':
      return JSON.stringify([target.type, target.jti]);
    case 'agentSession':
    case 'delegationEdge':
    case 'application':
      return JSON.stringify([target.type, target.id]);
    case 'subject':
      return JSON.stringify([target.type, target.issuer, target.sub]);
    case 'resource':
      return JSON.stringify([target.type, target.identifier]);
    case 'everything':
      return JSON.stringify([target.type]);
  }
}

const indexes = new WeakMap<readonly RevocationEntry[], ReadonlyMap<string, readonly RevocationEntry[]>>();

/** By what they target, so that an exchange looks up a few keys however many revocations a zone has gathered. */
function indexOf(entries: readonly RevocationEntry[]): ReadonlyMap<string, readonly RevocationEntry[]> {
  const known = indexes.get(entries);
  if (known) return known;
  const index = Map.groupBy(entries, ({ target }) => toKey(target));
  indexes.set(entries, index);
  return index;
}

/** What was remembered stays as it was; `configured` adds what is not known yet. */
export function mergeRevocations(
  remembered: readonly RevocationEntry[],
  configured: readonly RevocationEntry[],
): { readonly all: readonly RevocationEntry[]; readonly added: readonly RevocationEntry[] } {
  const known = new Set(remembered.map(({ uid }) => uid));
  const added = configured.filter(({ uid }) => !known.has(uid));
  if (remembered.length === 0) return { all: configured, added };
  return { all: added.length === 0 ? remembered : [...remembered, ...added], added };
}
