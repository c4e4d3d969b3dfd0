/** What an approval is for: a digest of everything that gives the act its meaning (wire.md, "Step-up"). */
import { createHash } from 'node:crypto';
import type { ApplicationRef } from '../agents/model.ts';
import { toCanonicalJSON } from '../canonical.ts';
import type { MandateUse } from '../claims.ts';
import type { PolicySubject } from '../policyInput.ts';
import type { ResourceEntry } from '../snapshot.ts';
import type { StepUpRequirement } from './challenge.ts';
import type { Hold } from './hold.ts';

/** Every member is part of the digest: another value of any is another act. */
export interface BindingFacts {
  readonly zoneUID: string;
  readonly application: ApplicationRef;
  readonly subject: Pick<PolicySubject, 'type' | 'issuer' | 'sub'>;
  /** URL of a user's issuer at the login. */
  readonly subjectIssuer: string | undefined;
  readonly sid: string;
  readonly rootSid: string;
  readonly agentSessionID: string | undefined;
  readonly delegationEdgeID: string | undefined;
  /** Edge ids and the applications between them, each root → leaf. */
  readonly chain: { readonly path: readonly string[]; readonly applications: readonly string[] };
  /** In any order; empty for a login. */
  readonly resources: readonly BoundResource[];
  /** In any order. */
  readonly scopes: readonly string[];
  /** Seconds, as requested. */
  readonly ttlSeconds: number | undefined;
  readonly use: MandateUse;
  /** Thumbprint of the key that the mandate is bound to (RFC 9449 §6.1). */
  readonly jkt: string | undefined;
  readonly policyDigest: string;
  /** In any order. Their times and words are the policy's, whose digest is here, and may differ from minute to minute. */
  readonly requirements: readonly Pick<StepUpRequirement, 'tier' | 'approver'>[];
}

export interface BoundResource {
  readonly identifier: string;
  readonly uid: string;
  /** Hex SHA-256 of all that verifiers and gateways know of it, such as its upstream. */
  readonly generation: string;
}

/** What a hold does not say itself: who holds what, as it is at this moment. */
export interface HoldContext {
  readonly zoneUID: string;
  /** The Resources that the request names, as served now; empty for a login. */
  readonly resources: readonly ResourceEntry[];
  readonly agentSessionID?: string;
  readonly delegation?: DelegationChain;
  readonly jkt?: string;
}

interface DelegationChain {
  readonly edgeID: string;
  /** Edge ids root → leaf. */
  readonly path: readonly string[];
  /** Ids of the issuers root → leaf. */
  readonly applications: readonly string[];
}

const VERSION = 'caracal.run/step-up-binding/v1';

/** Hex SHA-256. The tuple is unambiguous: lists keep their ends, and absent is not empty. */
export function toBinding(facts: BindingFacts): string {
  const { application, subject, chain } = facts;
  return sha256(
    toCanonicalJSON([
      VERSION,
      facts.zoneUID,
      [application.id, application.uid],
      [subject.type, subject.issuer, subject.sub, facts.subjectIssuer],
      [facts.sid, facts.rootSid],
      [facts.agentSessionID, facts.delegationEdgeID],
      [chain.path, chain.applications],
      toSortedSet(facts.resources.map(({ identifier, uid, generation }) => [identifier, uid, generation])),
      toSortedSet(facts.scopes),
      facts.ttlSeconds,
      facts.use,
      facts.jkt,
      facts.policyDigest,
      toSortedSet(facts.requirements.map(({ tier, approver }) => [tier, approver])),
    ]),
  );
}

/** Throws TypeError where the context is not that of the hold's request: its binding would be of another act. */
export function toBindingFacts(hold: Hold, context: HoldContext): BindingFacts {
  const { principal, subject, subjectIssuer, sid, rootSid, resource, scopes, ttlSeconds, use } = hold.request;
  const { zoneUID, resources, agentSessionID, delegation, jkt } = context;
  if (resource !== undefined && !resources.some(({ identifier }) => identifier === resource))
    throw new TypeError('the context of a hold lacks the resource of its request');
  return {
    zoneUID,
    application: { id: principal.applicationID, uid: principal.applicationUID },
    subject,
    subjectIssuer,
    sid,
    rootSid,
    agentSessionID,
    delegationEdgeID: delegation?.edgeID,
    chain: { path: delegation?.path ?? [], applications: delegation?.applications ?? [] },
    resources: resources.map(toBoundResource),
    scopes,
    ttlSeconds,
    use,
    jkt,
    policyDigest: hold.policyDigest,
    requirements: hold.requirements,
  };
}

export function toBoundResource(entry: ResourceEntry): BoundResource {
  return { identifier: entry.identifier, uid: entry.uid, generation: sha256(toCanonicalJSON(entry)) };
}

function toSortedSet(values: readonly unknown[]): readonly unknown[] {
  const texts = new Map(values.map((value) => [toCanonicalJSON(value), value]));
  return [...texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
