/** How one object fared: accepted, or refused with the first reason that applies. */
import type { KindObject, BaseStatus } from '../api/meta.ts';
import { perObject } from './perObject.ts';
import type { Verdict, VerdictCondition, VerdictKind } from './verdict.ts';

/** Any object of our kinds, as far as every check needs it. */
export type AnyKindObject = KindObject<VerdictKind, unknown, BaseStatus>;

export interface Refusal {
  readonly reason: AcceptedReason;
  /** Names the object, the field and the fix. */
  readonly message: string;
}

/** Every reason of Accepted=False (conditions.md). */
export type AcceptedReason =
  | 'ReservedName'
  | 'ReferenceNotPermitted'
  | 'ReferenceNotFound'
  | 'ReferenceNotAccepted'
  | 'ZoneMismatch'
  | 'Conflicted'
  | 'KeysInvalid'
  | 'Expired'
  | 'IdentifierNotPermitted'
  | 'ScopeNotDeclared'
  | 'OperationsAmbiguous'
  | 'IssuerNotTrusted'
  | 'NotYetValid'
  | 'CompileFailed'
  | 'PackageInvalid'
  | 'TestsFailed'
  | 'TooLarge'
  | 'PackageConflict';

export function refuse(reason: AcceptedReason, message: string): Refusal {
  return { reason, message };
}

/** `<namespace>/<name>` of an object. */
export const path = perObject((object: AnyKindObject) => `${object.metadata.namespace}/${object.metadata.name}`);

/** `<namespace>.<name>`: unambiguous, since our names hold no dot. */
export const dottedID = perObject((object: AnyKindObject) => `${object.metadata.namespace}.${object.metadata.name}`);

/** Key of the verdict map. */
export const verdictKey = perObject((object: AnyKindObject) => `${object.kind}/${path(object)}`);

export function isPresent(object: AnyKindObject): boolean {
  return object.metadata.deletionTimestamp === undefined;
}

/** Names beginning `caracal-sys` belong to Caracal's own namespace. */
export function checkName(object: AnyKindObject, systemNamespace: string): Refusal | undefined {
  const { name, namespace } = object.metadata;
  if (!name.startsWith('caracal-sys') || namespace === systemNamespace) return undefined;
  const fix = `choose another metadata.name; names beginning caracal-sys belong to namespace ${systemNamespace}`;
  return refuse('ReservedName', `${object.kind} ${path(object)}: ${fix}`);
}

const ACCEPTED: VerdictCondition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' };
const acceptedMessage = perObject((object: AnyKindObject): VerdictCondition => ({
  ...ACCEPTED,
  message: `${object.kind} ${path(object)} is part of the configuration`,
}));

/** The Accepted condition of an outcome. */
export function toAccepted(object: AnyKindObject, refusal: Refusal | undefined): VerdictCondition {
  if (!refusal) return acceptedMessage(object);
  return { type: 'Accepted', status: 'False', reason: refusal.reason, message: refusal.message };
}

const lastVerdict = new WeakMap<AnyKindObject, Verdict>();

/** The verdict of an object; the same reference as before where it says the same of the same object. */
export function toVerdict(
  object: AnyKindObject,
  conditions: readonly VerdictCondition[],
  fields: Readonly<Record<string, unknown>>,
): Verdict {
  const before = lastVerdict.get(object);
  if (before && isSameList(before.conditions, conditions) && isSame(before.fields, fields)) return before;
  const { namespace, name, uid, generation, resourceVersion } = object.metadata;
  const verdict = { kind: object.kind, namespace, name, uid, generation, resourceVersion, conditions, fields };
  lastVerdict.set(object, verdict);
  return verdict;
}

function isSameList(a: readonly VerdictCondition[], b: readonly VerdictCondition[]): boolean {
  return a.length === b.length && a.every((condition, index) => isSame(condition, b[index]));
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
