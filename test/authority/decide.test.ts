/** The decision after policy: only an answer for every scope permits. */
import { describe, expect, it } from 'vitest';
import { checkExchange, type CheckedExchange } from '../../src/authority/checks.ts';
import { decideExchange } from '../../src/authority/decide.ts';
import { DENIAL_REASONS, type ExchangeRequest } from '../../src/authority/decision.ts';
import type { PolicyOutcome } from '../../src/authority/policyInput.ts';
import { NOW, PAYMENTS, SECONDS, grant, isChecked, login, outcome, policyOf, request, zone } from './zone.ts';

const grants = [grant({ scopes: ['read', 'write'] })];
const both = request({ scopes: ['read', 'write'] });

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

it('every reason of DENIAL_REASONS says what it means', () => {
  for (const [reason, meaning] of Object.entries(DENIAL_REASONS)) expect(meaning.length, reason).toBeGreaterThan(10);
});
