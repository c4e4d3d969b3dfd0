/** Whether a status differs in meaning from the one an object has, and what its Ready condition says. */
import type { BaseStatus, Condition } from '../api/meta.ts';

type Status = Readonly<Record<string, unknown>>;

/** Equal whatever the order of members or of conditions; times follow from the rest, so they do not count. */
export function isSameStatus(wanted: Status, present: BaseStatus | undefined): boolean {
  return canonical(wanted) === canonical(present ?? {});
}

/** What a status means, as text: members sorted, conditions by type, without the times at which they changed. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (key, member: unknown) => {
    if (key === 'lastTransitionTime') return undefined;
    if (Array.isArray(member)) return key === 'conditions' ? [...(member as Condition[])].sort(byType) : member;
    if (typeof member !== 'object' || member === null) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function byType(a: Condition, b: Condition): number {
  return a.type < b.type ? -1 : 1;
}

function readyOf(status: Status | BaseStatus | undefined): Condition | undefined {
  return conditionOf(status, 'Ready');
}

/** A little later it may well say better: a replica or gateway catches up, the other file of an apply arrives. */
export function isUnsettled(status: Status): boolean {
  return conditionOf(status, 'Reconciling') !== undefined || conditionOf(status, 'Enforced')?.reason === 'Pending';
}

export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** What to tell as an Event: Ready became another, but for the short while in which replicas catch up. */
export function readyTransition(before: BaseStatus | undefined, after: Status): Transition | undefined {
  const [was, is] = [readyOf(before), readyOf(after)];
  if (is === undefined || (was?.status === is.status && was.reason === is.reason)) return undefined;
  if (is.reason === 'Pending' || is.reason === 'KeysPending') return undefined;
  return { type: is.status === 'True' ? 'Normal' : 'Warning', reason: is.reason, message: is.message };
}

function conditionOf(status: Status | BaseStatus | undefined, type: string): Condition | undefined {
  const conditions = status?.['conditions' as keyof typeof status] as readonly Condition[] | undefined;
  return conditions?.find((condition) => condition.type === type);
}
