/** Decides an exchange against one served zone: checks, then policy, then the decision (architecture.md §5). */
import { checkExchange } from '../authority/checks.ts';
import { decideExchange } from '../authority/decide.ts';
import type { Denial, ExchangeRequest, Permit } from '../authority/decision.ts';
import type { Issued } from '../authority/revocation.ts';
import type { Hold } from '../authority/stepUp/hold.ts';
import type { PolicyInput, PolicyOutcome } from '../authority/policyInput.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { ServedZone } from './configuration.ts';

export interface Decided {
  readonly result: Permit | Hold | Denial;
  /** The pair that it was decided under. */
  readonly zone: ServedZone;
  readonly inputs: readonly PolicyInput[];
  readonly outcomes: readonly PolicyOutcome[];
}

/** What of a decision differs for a mandate that is judged again. */
export interface Judged {
  readonly issued: Issued;
  /** It spent an approval: what was approved stays approved. */
  readonly approved: boolean;
}

/** `now` in Unix milliseconds. */
export async function decide(
  zone: ServedZone,
  request: ExchangeRequest,
  now: number,
  policies: Pick<PolicyEngine, 'evaluate'>,
  { issued, approved }: Judged = { issued: { at: now, epoch: zone.epoch }, approved: false },
): Promise<Decided> {
  const { snapshot } = zone;
  const checked = checkExchange(snapshot, request, now, issued, zone.runtime);
  if (checked.type === 'denial') return { result: checked, zone, inputs: [], outcomes: [] };
  const outcomes = await policies.evaluate(snapshot.uid, checked.policyDigest, checked.inputs);
  const result = decideExchange(checked, outcomes, snapshot, now, approved);
  return { result, zone, inputs: checked.inputs, outcomes };
}
