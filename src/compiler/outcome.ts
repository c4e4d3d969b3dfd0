/** How one object fared: accepted, or refused with the first reason that applies. */
import type { KindObject, BaseStatus } from '../api/meta.ts';
import { perObject } from './perObject.ts';
import { objectKey, type Verdict, type VerdictCondition, type VerdictKind } from './verdict.ts';

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

interface Names {
  readonly path: string;
  readonly dottedID: string;
  readonly verdictKey: string;
  readonly accepted: VerdictCondition;
  /** The one given last, so that what says the same stays the same reference. */
  verdict: Verdict | undefined;
}

const namesOf = perObject(({ kind, metadata: { namespace, name } }: AnyKindObject): Names => {
  const message = `${kind} ${namespace}/${name} is part of the configuration`;
  return {
    path: `${namespace}/${name}`,
    dottedID: `${namespace}.${name}`,
    verdictKey: objectKey(kind, namespace, name),
    accepted: { type: 'Accepted', status: 'True', reason: 'Accepted', message },
    verdict: undefined,
  };
});

/** `<namespace>/<name>` of an object. */
export const path = (object: AnyKindObject): string => namesOf(object).path;

/** `<namespace>.<name>`: unambiguous, since our names hold no dot. */
export const dottedID = (object: AnyKindObject): string => namesOf(object).dottedID;

/** The dotted id of what a `{name, namespace?}` in an object of namespace `own` refers to, whether it exists or not. */
export function referencedID(reference: { name: string; namespace?: string | undefined }, own: string): string {
  return `${reference.namespace ?? own}.${reference.name}`;
}

/** Key of the verdict map. */
export const verdictKey = (object: AnyKindObject): string => namesOf(object).verdictKey;

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

/** The Accepted condition of an outcome. */
export function toAccepted(object: AnyKindObject, refusal: Refusal | undefined): VerdictCondition {
  if (!refusal) return namesOf(object).accepted;
  return { type: 'Accepted', status: 'False', reason: refusal.reason, message: refusal.message };
}

/** The verdict of an object; the same reference as before where it says the same of the same object. */
export function toVerdict(
  object: AnyKindObject,
  conditions: readonly VerdictCondition[],
  fields: Readonly<Record<string, unknown>>,
): Verdict {
  return keepVerdict(object, namesOf(object), conditions, fields);
}

/** Key and verdict of an object whose only condition is Accepted. */
export function toOutcome(
  object: AnyKindObject,
  refusal: Refusal | undefined,
  fields: Readonly<Record<string, unknown>>,
): { readonly key: string; readonly verdict: Verdict } {
  const names = namesOf(object);
  const accepted = refusal ? toAccepted(object, refusal) : names.accepted;
  const { verdict: before } = names;
  const isKept = before?.conditions[0] === accepted && before.fields === fields;
  return { key: names.verdictKey, verdict: isKept ? before : keepVerdict(object, names, [accepted], fields) };
}

function keepVerdict(
  { kind, metadata }: AnyKindObject,
  names: Names,
  conditions: readonly VerdictCondition[],
  fields: Readonly<Record<string, unknown>>,
): Verdict {
  const before = names.verdict;
  if (before && isSameList(before.conditions, conditions) && isSame(before.fields, fields)) return before;
  const { namespace, name, uid, generation, resourceVersion } = metadata;
  names.verdict = { kind, namespace, name, uid, generation, resourceVersion, conditions, fields };
  return names.verdict;
}

function isSameList(a: readonly VerdictCondition[], b: readonly VerdictCondition[]): boolean {
  return a.length === b.length && a.every((condition, index) => isSame(condition, b[index]));
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
