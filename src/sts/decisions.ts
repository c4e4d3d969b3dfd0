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
  readonly result: Permit | Denial;
  /** The pair that it was decided under. */
  readonly zone: ServedZone;
  readonly inputs: readonly PolicyInput[];
  readonly outcomes: readonly PolicyOutcome[];
}

/** `now` in Unix milliseconds; `issued` is that of a mandate which is judged again. */
export async function decide(
  zone: ServedZone,
  request: ExchangeRequest,
  now: number,
  policies: Pick<PolicyEngine, 'evaluate'>,
  issued: Issued = { at: now, epoch: zone.epoch },
): Promise<Decided> {
  const { snapshot } = zone;
  const checked = checkExchange(snapshot, request, now, issued);
  if (checked.type === 'denial') return { result: checked, zone, inputs: [], outcomes: [] };
  const outcomes = await policies.evaluate(snapshot.uid, checked.policyDigest, checked.inputs);
  const decision = decideExchange(checked, outcomes, snapshot, now);
  const result = decision.type === 'hold' ? toRefusal(decision) : decision;
  return { result, zone, inputs: checked.inputs, outcomes };
}

/** No challenge is opened here yet, so that nobody can approve. */
function toRefusal({ requirements }: Hold): Denial {
  const tiers = requirements.map(({ policy, tier }) => `${policy} (tier ${tier})`).join(', ');
  return { type: 'denial', reason: 'StepUpRequired', message: `a person has to approve, as asked for by ${tiers}` };
}
