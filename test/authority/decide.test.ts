/** The decision after policy: only an answer for every scope permits. */
import { describe, expect, it } from 'vitest';
import { checkExchange, type CheckedExchange } from '../../src/authority/checks.ts';
import { decideExchange } from '../../src/authority/decide.ts';
import { DENIAL_REASONS, type ExchangeRequest } from '../../src/authority/decision.ts';
import type { PolicyOutcome } from '../../src/authority/policyInput.ts';
import type { StepUpRequirement } from '../../src/authority/stepUp/challenge.ts';
import { NOW, PAYMENTS, SECONDS, grant, isChecked, login, outcome, policyOf, request, user, zone } from './zone.ts';

const grants = [grant({ scopes: ['read', 'write'], subjects: [{ type: 'application' }, { type: 'anyUser' }] })];
const both = request({ scopes: ['read', 'write'] });
const forUser = request({ subject: user() });

function checked(asked: ExchangeRequest = request()): CheckedExchange {
  const result = checkExchange(zone({ grants }), asked, NOW);
  if (!isChecked(result)) throw new Error(result.reason);
  return result;
}

const decide = (outcomes: readonly PolicyOutcome[], asked = request(), now = NOW) =>
  decideExchange(checked(asked), outcomes, zone({ grants }), now);

describe('decideExchange', () => {
  it('permits where every scope is permitted', () => {
    expect(decide([outcome(), outcome()], both)).toEqual({
      type: 'permit',
      request: both,
      expiresAt: SECONDS + 300,
      grants: ['shop/g'],
      policyDigest: zone({ grants }).policy!.digest,
    });
  });

  const denied: Readonly<
    Record<string, { outcomes: readonly PolicyOutcome[]; reason: string; asked?: ExchangeRequest }>
  > = {
    'PolicyDenied where a policy denies': {
      outcomes: [outcome({ permit: false, denials: [{ policy: 'hours', reason: 'closed' }] })],
      reason: 'PolicyDenied',
    },
    'PolicyDenied where an outcome holds both a permit and a denial': {
      outcomes: [outcome({ denials: [{ policy: 'hours', reason: 'closed' }] })],
      reason: 'PolicyDenied',
    },
    'PolicyNotAllowed where none allows': {
      outcomes: [outcome({ permit: false, allowedBy: [] })],
      reason: 'PolicyNotAllowed',
    },
    'PolicyNotAllowed where only the other scope is allowed': {
      outcomes: [outcome(), outcome({ permit: false })],
      reason: 'PolicyNotAllowed',
      asked: both,
    },
    'PolicyFailed on a timeout, whatever else the outcome says': {
      outcomes: [outcome({ failure: 'timeout' })],
      reason: 'PolicyFailed',
    },
    'PolicyFailed without outcomes': { outcomes: [], reason: 'PolicyFailed' },
    'PolicyFailed with one outcome for two scopes': { outcomes: [outcome()], reason: 'PolicyFailed', asked: both },
    'PolicyFailed with two outcomes for one scope': { outcomes: [outcome(), outcome()], reason: 'PolicyFailed' },
    'P-08 PolicyNotAllowed where permit is the string true': {
      outcomes: [outcome({ permit: 'true' as unknown as boolean })],
      reason: 'PolicyNotAllowed',
    },
    'P-08 PolicyNotAllowed where permit is 1': {
      outcomes: [outcome({ permit: 1 as unknown as boolean })],
      reason: 'PolicyNotAllowed',
    },
    'P-08 PolicyFailed where an outcome is missing': {
      outcomes: [undefined as unknown as PolicyOutcome],
      reason: 'PolicyFailed',
    },
    'LifetimeExhausted where policy leaves nothing': {
      outcomes: [outcome({ maxTTLSeconds: 0 })],
      reason: 'LifetimeExhausted',
    },
    'LifetimeExhausted for a negative lifetime': {
      outcomes: [outcome({ maxTTLSeconds: -5 })],
      reason: 'LifetimeExhausted',
    },
    'P-08 LifetimeExhausted where the lifetime is no number': {
      outcomes: [outcome({ maxTTLSeconds: Number.NaN })],
      reason: 'LifetimeExhausted',
    },
    'P-08 LifetimeExhausted where the lifetime is text': {
      outcomes: [outcome({ maxTTLSeconds: '60' as unknown as number })],
      reason: 'LifetimeExhausted',
    },
  };
  it.each(Object.entries(denied))('%s', (_name, { outcomes, reason, asked = request() }) => {
    const decision = decide(outcomes, asked);
    expect(decision.type === 'denial' && decision.reason).toBe(reason);
  });

  it('names the scope, the resource and every deny string', () => {
    const denials = [
      { policy: 'hours', reason: 'closed' },
      { policy: 'list', reason: 'blocked' },
    ];
    expect(decide([outcome(), outcome({ permit: false, denials })], both)).toEqual({
      type: 'denial',
      reason: 'PolicyDenied',
      message: 'policy denied scope write: hours: closed; list: blocked',
      scope: 'write',
      resource: PAYMENTS,
      denials,
    });
  });

  it('lowers the lifetime to the smallest that any scope’s policies say, and never raises it', () => {
    const end = (...seconds: number[]) => {
      const decision = decide(
        seconds.map((maxTTLSeconds) => outcome({ maxTTLSeconds })),
        seconds.length === 2 ? both : request(),
      );
      return decision.type === 'permit' && decision.expiresAt - SECONDS;
    };
    expect([end(60), end(90, 45.9), end(1e9)]).toEqual([60, 45, 300]);
  });

  it('X-19 denies where the policy set changed during the evaluation', () => {
    const changed = zone({ grants, policy: policyOf({ name: 'other', rego: 'package caracal.policy.other' }) });
    const decision = decideExchange(checked(), [outcome()], changed, NOW);
    expect(decision.type === 'denial' && decision.reason).toBe('PolicyFailed');
  });

  it('denies where the zone was frozen or lost its policy during the evaluation', () => {
    const frozen = decideExchange(checked(), [outcome()], zone({ grants, frozen: { reason: 'x' } }), NOW);
    const none = decideExchange(checked(), [outcome()], zone({ grants, policy: undefined }), NOW);
    expect([frozen, none].map((decision) => decision.type === 'denial' && decision.reason)).toEqual([
      'ZoneFrozen',
      'NoActivePolicy',
    ]);
  });

  it('denies where the evaluation took longer than the lifetime', () => {
    const decision = decide([outcome()], request(), NOW + 300_000);
    expect(decision.type === 'denial' && decision.reason).toBe('LifetimeExhausted');
  });

  it('decides a login once, and its denial names no resource', () => {
    expect(decide([outcome({ allowedBy: [] })], login()).type).toBe('permit');
    expect(decide([outcome({ permit: false, denials: [{ policy: 'p', reason: 'r' }] })], login())).toEqual({
      type: 'denial',
      reason: 'PolicyDenied',
      message: 'policy denied the login: p: r',
      denials: [{ policy: 'p', reason: 'r' }],
    });
  });
});

describe('a step-up', () => {
  const MONEY: StepUpRequirement = { policy: 'money', tier: 'money', approver: 'operator', reason: 'it moves money' };
  const DATA: StepUpRequirement = { policy: 'data', tier: 'data', approver: 'any' };
  const OWN: StepUpRequirement = { policy: 'own', tier: 'own', approver: 'subject' };
  const holding = (...stepUps: readonly StepUpRequirement[]) => outcome({ stepUps });
  const decideApproved = (outcomes: readonly PolicyOutcome[], approved: boolean, asked = request()) =>
    decideExchange(checked(asked), outcomes, zone({ grants }), NOW, approved);

  it('holds what would be permitted, with all that the mandate would be', () => {
    const permit = decide([outcome(), outcome({ maxTTLSeconds: 60 })], both);
    expect(decide([holding(DATA), outcome({ stepUps: [MONEY], maxTTLSeconds: 60 })], both)).toEqual({
      ...permit,
      type: 'hold',
      requirements: [MONEY, DATA],
    });
  });

  it('of one scope holds all, and what several scopes ask for alike is asked once', () => {
    expect(decide([holding(MONEY), outcome()], both)).toMatchObject({ type: 'hold', requirements: [MONEY] });
    expect(decide([holding(MONEY), holding(MONEY)], both)).toMatchObject({ type: 'hold', requirements: [MONEY] });
  });

  it('that was approved permits what would be permitted without it, and nothing more', () => {
    expect(decideApproved([holding(MONEY)], true)).toEqual(decide([outcome()]));
    const denied = { permit: false, denials: [{ policy: 'p', reason: 'r' }] };
    const refused = [
      outcome({ ...denied, stepUps: [MONEY] }),
      outcome({ permit: false, allowedBy: [], stepUps: [MONEY] }),
      outcome({ maxTTLSeconds: 0, stepUps: [MONEY] }),
      outcome({ permit: false, failure: 'wrong_type' }),
    ];
    expect(refused.map((one) => decideApproved([one], true).type)).toEqual(['denial', 'denial', 'denial', 'denial']);
  });

  it('is approved by true alone', () => {
    for (const approved of [false, undefined, 'true', 1] as readonly unknown[] as readonly boolean[])
      expect(decideApproved([holding(MONEY)], approved).type).toBe('hold');
  });

  const unasked: Readonly<Record<string, readonly [Partial<PolicyOutcome>, reason: string]>> = {
    denied: [{ permit: false, denials: [{ policy: 'p', reason: 'r' }] }, 'PolicyDenied'],
    'not allowed': [{ permit: false, allowedBy: [] }, 'PolicyNotAllowed'],
    'over at once': [{ maxTTLSeconds: 0 }, 'LifetimeExhausted'],
    'not to be evaluated': [{ permit: false, failure: 'timeout' }, 'PolicyFailed'],
  };
  it.each(Object.entries(unasked))('asks nobody for what is %s', (_what, [said, reason]) => {
    expect(decide([holding(MONEY), outcome({ stepUps: [MONEY], ...said })], both)).toMatchObject({
      type: 'denial',
      reason,
    });
    expect(decide([outcome({ stepUps: [MONEY], ...said }), holding(MONEY)], both)).toMatchObject({
      type: 'denial',
      reason,
    });
  });

  it('asks nobody where the zone was frozen or the policy set changed', () => {
    const frozen = zone({ grants, frozen: { reason: 'x' } });
    const changed = zone({ grants, policy: policyOf({ name: 'other', rego: 'package caracal.policy.other' }) });
    for (const now of [frozen, changed])
      expect(decideExchange(checked(), [holding(MONEY)], now, NOW).type).toBe('denial');
  });

  it('holds a login, which needs no allow', () => {
    expect(decide([outcome({ allowedBy: [], stepUps: [MONEY] })], login())).toMatchObject({ type: 'hold' });
  });

  it('of the user is denied where there is no user, since nobody could ever approve', () => {
    const denial = decide([holding(DATA, OWN)]);
    expect(denial).toEqual({
      type: 'denial',
      reason: 'StepUpRequired',
      message: "policy own asks for the user's own approval (tier own), and the request is for no user",
    });
    expect(decide([holding(MONEY, OWN)]).type).toBe('hold');
    expect(decide([holding(DATA)]).type).toBe('hold');
  });

  it('of the user is held where there is one', () => {
    expect(decide([holding(OWN)], forUser)).toMatchObject({ type: 'hold', requirements: [OWN] });
  });

  it('is asked for 64 times at most', () => {
    const tiers = (count: number) => Array.from({ length: count }, (_, index) => ({ ...MONEY, tier: `t${index}` }));
    expect(decide([holding(...tiers(40)), holding(...tiers(64))], both).type).toBe('hold');
    expect(decide([holding(...tiers(40)), holding(...tiers(65))], both)).toMatchObject({ reason: 'StepUpRequired' });
  });

  it('P-08 PolicyFailed where an outcome does not say whether there is one', () => {
    const { stepUps: _, ...silent } = outcome();
    for (const stepUps of [undefined, null, {}, 'none'])
      expect(decide([{ ...silent, stepUps } as unknown as PolicyOutcome])).toMatchObject({ reason: 'PolicyFailed' });
  });
});

it('every reason of DENIAL_REASONS says what it means', () => {
  for (const [reason, meaning] of Object.entries(DENIAL_REASONS)) expect(meaning.length, reason).toBeGreaterThan(10);
});
