/** The decision after policy: exactly one value permits, a step-up holds it, everything else denies and says why. */
import { type CheckedExchange } from './checks.ts';
import type { Denial, DenialReason, Permit } from './decision.ts';
import type { PolicyOutcome } from './policyInput.ts';
import type { ZoneSnapshot } from './snapshot.ts';
import { findHold, type Hold } from './stepUp/hold.ts';

/**
 * Permits exactly when every input has an outcome that permits. `outcomes` are in the order of `checked.inputs`.
 * `zone` is the snapshot in force now (Unix milliseconds): if its policy or freeze changed since the checks, it denies.
 * Where a policy asks for a step-up, what would be permitted is held, and what would be refused is refused without
 * asking anyone. `approved`: a challenge was approved for exactly this binding (stepUp/binding.ts), or the mandate that
 * is judged again was minted from one: what was approved stays approved.
 */
export function decideExchange(
  checked: CheckedExchange,
  outcomes: readonly PolicyOutcome[],
  zone: Pick<ZoneSnapshot, 'id' | 'frozen' | 'policy'>,
  now: number,
  approved = false,
): Permit | Hold | Denial {
  const denial = checkZone(checked, zone) ?? checkOutcomes(checked, outcomes);
  if (denial) return denial;
  const seconds = Math.floor(now / 1000);
  const expiresAt = lowerByPolicy(checked.expiresAt, outcomes, seconds);
  if (!(expiresAt >= seconds + 1)) {
    return deny(
      'LifetimeExhausted',
      'what bounds the lifetime (max_ttl_seconds of a policy) leaves less than one second',
    );
  }
  const { request, grants, policyDigest, lineage } = checked;
  const decided = { request, expiresAt, grants, policyDigest, ...(lineage && { lineage }) };
  const hold = approved === true ? undefined : findHold(outcomes, decided);
  return hold ?? { type: 'permit', ...decided };
}

function checkZone(checked: CheckedExchange, zone: Pick<ZoneSnapshot, 'id' | 'frozen' | 'policy'>): Denial | undefined {
  if (zone.frozen) return deny('ZoneFrozen', `zone ${zone.id} is frozen: ${zone.frozen.reason}`);
  if (!zone.policy) return deny('NoActivePolicy', `zone ${zone.id} has no active policy set`);
  if (zone.policy.digest === checked.policyDigest) return undefined;
  return deny('PolicyFailed', 'the active policy set changed during the evaluation; ask again');
}

function checkOutcomes(checked: CheckedExchange, outcomes: readonly PolicyOutcome[]): Denial | undefined {
  if (outcomes.length !== checked.inputs.length || outcomes.length === 0) {
    return deny('PolicyFailed', 'the active policy set did not answer for every scope');
  }
  for (const [index, input] of checked.inputs.entries()) {
    const denial = checkOutcome(outcomes[index], input.scope, checked.request.resource);
    if (denial) return denial;
  }
  return undefined;
}

function checkOutcome(outcome: PolicyOutcome | undefined, scope: string, resource: string | undefined) {
  const isLogin = scope === '';
  const where = isLogin || resource === undefined ? {} : { scope, resource };
  const what = isLogin ? 'the login' : `scope ${scope}`;
  if (!outcome || outcome.failure !== undefined || !Array.isArray(outcome.stepUps)) {
    return deny(
      'PolicyFailed',
      `policy could not be evaluated for ${what} (${outcome?.failure ?? 'no answer'})`,
      where,
    );
  }
  if (outcome.denials.length > 0) {
    const reasons = outcome.denials.map(({ policy, reason }) => `${policy}: ${reason}`).join('; ');
    return deny('PolicyDenied', `policy denied ${what}: ${reasons}`, { ...where, denials: outcome.denials });
  }
  if (outcome.permit === true) return undefined;
  return deny('PolicyNotAllowed', `no policy of the active set allows ${what}`, where);
}

/** A value that is no finite number lowers the lifetime to nothing: wrong types deny. */
function lowerByPolicy(expiresAt: number, outcomes: readonly PolicyOutcome[], seconds: number): number {
  let lowest = expiresAt;
  for (const { maxTTLSeconds } of outcomes) {
    if (maxTTLSeconds === undefined) continue;
    const limit = Number.isFinite(maxTTLSeconds) ? Math.floor(maxTTLSeconds) : 0;
    lowest = Math.min(lowest, seconds + limit);
  }
  return lowest;
}

function deny(
  reason: DenialReason,
  message: string,
  details: Omit<Denial, 'type' | 'reason' | 'message'> = {},
): Denial {
  return { type: 'denial', reason, message, ...details };
}
