/** Zone → the settings of its snapshot, its keys and its active policy. */
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Zone } from '../api/zone.ts';
import type {
  AgentLimits,
  StepUpSettings,
  SubjectIssuer,
  VerificationKey,
  ZoneSnapshot,
} from '../authority/snapshot.ts';
import { toKeySource } from './application.ts';
import { parseSpan } from './instants.ts';
import { dottedID, path, referencedID } from './outcome.ts';
import { perObject } from './perObject.ts';
import { selectRevision } from './policySetRevision.ts';
import type { VerdictCondition } from './verdict.ts';
import type { KeySetState } from './world.ts';

export type ZoneSettings = Omit<
  ZoneSnapshot,
  'policy' | 'applications' | 'resources' | 'grants' | 'keys' | 'revocations' | 'digest'
>;

const seconds = (text: string) => Math.floor(parseSpan(text) / 1000);

/** What depends on the Zone object alone. */
export const toZoneSettings = perObject((zone: Zone): ZoneSettings => {
  const { metadata, spec } = zone;
  return {
    id: dottedID(zone),
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    frozen: spec.freeze ? { reason: spec.freeze.reason } : undefined,
    mandateTTL: seconds(spec.tokens.mandateTTL),
    sessionTTL: seconds(spec.tokens.sessionTTL),
    mintsPerMinute: spec.limits.mintsPerMinute,
    limits: toAgentLimits(spec.limits),
    stepUp: toStepUpSettings(zone),
    staleAfter: seconds(spec.enforcement.staleAfter),
    subjectIssuers: new Map((spec.subjectIssuers ?? []).map((issuer) => [issuer.name, toSubjectIssuer(issuer)])),
  };
});

function toAgentLimits(limits: Zone['spec']['limits']): AgentLimits {
  const { agentSessions, agentSessionsPerApplication, children, depth } = limits;
  return { agentSessions, agentSessionsPerApplication, children, depth };
}

function toStepUpSettings({ metadata: { namespace }, spec: { stepUp } }: Zone): StepUpSettings {
  return {
    operatorTTL: seconds(stepUp.operatorTTL),
    subjectTTL: seconds(stepUp.subjectTTL),
    approverApplications: (stepUp.approverApplications ?? []).map((reference) => referencedID(reference, namespace)),
    allowServiceAccounts: stepUp.allowServiceAccounts,
  };
}

function toSubjectIssuer(source: NonNullable<Zone['spec']['subjectIssuers']>[number]): SubjectIssuer {
  const { name, issuer, groupsClaim, claims = [] } = source;
  return { name, issuer, keys: toKeySource(source), ...(groupsClaim !== undefined && { groupsClaim }), claims };
}

/** The keys verifiers may use: never a revoked one. */
export function usableKeys(zone: Zone, state: KeySetState | undefined): readonly VerificationKey[] {
  if (!state?.ok) return [];
  const revoked = zone.spec.keys.revoke;
  return revoked?.length ? state.keys.filter(({ kid }) => !revoked.includes(kid)) : state.keys;
}

/** The key that signs at `now` (Unix milliseconds): the one that became active last. */
export function signingKey(keys: readonly VerificationKey[], now: number): VerificationKey | undefined {
  let latest: VerificationKey | undefined;
  for (const key of keys) {
    if (key.activeAt === undefined || key.activeAt > now) continue;
    if (!latest || key.activeAt > latest.activeAt! || (key.activeAt === latest.activeAt && key.kid > latest.kid))
      latest = key;
  }
  return latest;
}

export function toKeysReady(zone: Zone, state: KeySetState | undefined, now: number): VerdictCondition {
  const type = 'KeysReady';
  if (state && !state.ok) {
    return {
      type,
      status: 'False',
      reason: 'KeysInvalid',
      message: `Zone ${path(zone)}: signing keys: ${state.message}`,
    };
  }
  const key = signingKey(usableKeys(zone, state), now);
  if (key) return { type, status: 'True', reason: 'KeysReady', message: `key ${key.kid} signs` };
  return {
    type,
    status: 'False',
    reason: 'KeysPending',
    message: `Zone ${path(zone)} has no key that may sign yet; the controller makes one`,
  };
}

/** How a Zone's policySetRef resolved. */
export interface PolicyChoice {
  readonly active: PolicySetRevision | undefined;
  readonly condition: VerdictCondition;
}

/** `revisions`: those of the referenced set, lowest first; undefined where the set is missing. */
export function choosePolicy(
  zone: Zone,
  revisions: readonly PolicySetRevision[] | undefined,
  isSetRefused: boolean,
): PolicyChoice {
  const ref = zone.spec.policySetRef;
  const who = `Zone ${path(zone)}: spec.policySetRef`;
  if (!ref) return inactive('NoPolicySet', `${who} is not set, so every exchange is denied; name a PolicySet`);
  if (!revisions)
    return inactive(
      'ReferenceNotFound',
      `${who} names PolicySet ${ref.name}, which does not exist in the namespace of the Zone; create it or correct the name`,
    );
  const active = selectRevision(ref, revisions);
  if (active) return { active, condition: toPolicyActive(active, ref, isSetRefused) };
  const pin = ref.revision ?? ref.digest;
  if (pin !== undefined)
    return inactive(
      'RevisionNotFound',
      `${who} pins ${pin}, which PolicySet ${ref.name} does not have; correct or remove the pin`,
    );
  return inactive(
    'NoGoodRevision',
    `${who} names PolicySet ${ref.name}, which has no revision that passed; see its conditions`,
  );
}

function toPolicyActive(
  active: PolicySetRevision,
  ref: NonNullable<Zone['spec']['policySetRef']>,
  isSetRefused: boolean,
): VerdictCondition {
  const what = `revision ${active.spec.number} of PolicySet ${active.spec.set}`;
  const isPinned = ref.revision !== undefined || ref.digest !== undefined;
  if (isPinned || !isSetRefused)
    return { type: 'PolicyActive', status: 'True', reason: 'PolicyActive', message: `${what} decides` };
  const message = `${what}, the last good one, decides: the set is not accepted now`;
  return { type: 'PolicyActive', status: 'True', reason: 'LastGoodRevision', message };
}

function inactive(reason: string, message: string): PolicyChoice {
  return { active: undefined, condition: { type: 'PolicyActive', status: 'False', reason, message } };
}

/** Status fields that follow from the world: id, active policy, signing key. */
export function zoneFields(
  zone: Zone,
  active: PolicySetRevision | undefined,
  key: VerificationKey | undefined,
): Readonly<Record<string, unknown>> {
  return {
    zoneID: dottedID(zone),
    ...(active && { policy: { set: active.spec.set, revision: active.spec.number, digest: active.spec.digest } }),
    ...(key && { signingKey: { kid: key.kid, rotatesAt: rotatesAt(zone, key) } }),
  };
}

function rotatesAt(zone: Zone, key: VerificationKey): string {
  const at = key.activeAt! + parseSpan(zone.spec.keys.rotateEvery);
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
