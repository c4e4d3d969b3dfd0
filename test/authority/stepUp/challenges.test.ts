/** The life of a challenge, step by step: what each step needs, and what it refuses. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DecisionRecord } from '../../../src/authority/decision.ts';
import type { Challenge, StepUpRequirement } from '../../../src/authority/stepUp/challenge.ts';
import {
  decideChallenge,
  expireChallenge,
  openChallenge,
  readPresented,
  replayOf,
  spendChallenge,
} from '../../../src/authority/stepUp/challenges.ts';
import { NOW, request, SECONDS } from '../zone.ts';
import { challenge, context, hold, OPERATOR, permitAt } from './samples.ts';

const HOUR = 3_600_000;
const LAST = NOW + HOUR - 1;
const OVER = NOW + HOUR;
const { binding } = challenge();
const BY = 'operator:olga';

const of = (result: Challenge | string): Challenge => {
  if (typeof result === 'string') throw new Error(result);
  return result;
};
const approve = (one: Challenge, now = NOW) => decideChallenge(one, { approved: true, binding }, BY, now);
const approved = of(approve(challenge(), NOW + 1000));
const rejected = of(decideChallenge(challenge(), { approved: false, binding }, BY, NOW + 1000));
const expired = expireChallenge(challenge(), OVER);
const consumed = of(spendChallenge(approved, binding, permitAt(NOW + 2000), NOW + 2000));

describe('openChallenge', () => {
  it('keeps who asks for what, pending until the shortest time is over', () => {
    const requirements: readonly StepUpRequirement[] = [
      { policy: 'money', tier: 'money', approver: 'operator', ttlSeconds: 3600, reason: 'it moves money' },
      { policy: 'orders', tier: 'orders', approver: 'any', ttlSeconds: 600 },
    ];
    expect(openChallenge(hold({ requirements }), context(), NOW + 999, 'id')).toEqual({
      kind: 'challenge',
      id: 'id',
      binding: expect.stringMatching(/^[0-9a-f]{64}$/),
      state: 'pending',
      application: { id: 'shop.cart', uid: 'uid-cart' },
      sid: 'sid',
      rootSid: 'sid',
      agentSessionID: 'agent-1',
      chain: ['shop.front', 'shop.planner', 'shop.cart'],
      subject: { type: 'user', issuer: 'corp', sub: 'ann', subjectIssuer: 'https://id' },
      resource: 'resource://payments',
      scopes: ['refund', 'write'],
      requirements,
      tier: 'money',
      approver: 'operator',
      createdAt: NOW + 999,
      expiresAt: SECONDS + 600,
    });
  });

  it('of an application for itself, without session and chain, keeps no more than there is', () => {
    const { zoneUID, resources, ttl } = context();
    const opened = openChallenge(hold({ request: request() }), { zoneUID, resources, ttl }, NOW, 'id');
    expect(opened.chain).toEqual(['shop.cart']);
    expect(opened).not.toHaveProperty('agentSessionID');
    expect(opened.subject).toEqual({ type: 'application', issuer: '', sub: 'shop.cart' });
  });

  const asked = (approver: StepUpRequirement['approver'], ttlSeconds?: number): StepUpRequirement => ({
    ...OPERATOR,
    approver,
    ...(ttlSeconds !== undefined && { ttlSeconds }),
  });
  const times: Readonly<Record<string, readonly [readonly StepUpRequirement[], seconds: number]>> = {
    "an operator has the Zone's time for operators": [[asked('operator')], 14_400],
    "the user has the Zone's time for users": [[asked('subject')], 900],
    "either has the Zone's time for operators": [[asked('any')], 14_400],
    'policy shortens it': [[asked('operator', 60)], 60],
    'the shortest of several counts': [[asked('operator', 60), asked('any', 30)], 30],
    "policy does not lengthen it beyond the Zone's": [[asked('subject', 86_400)], 900],
    'an operator besides the user has the time for operators': [[asked('operator'), asked('subject')], 14_400],
  };
  it.each(Object.entries(times))('%s', (_what, [requirements, seconds]) => {
    expect(openChallenge(hold({ requirements }), context(), NOW, 'id').expiresAt - SECONDS).toBe(seconds);
  });

  it('is of the same binding for the same act, whenever and however often', () => {
    const again = openChallenge(hold(), context(), NOW + HOUR, 'other');
    expect(again.binding).toBe(openChallenge(hold(), context(), NOW, 'id').binding);
  });

  it('refuses a hold that asks for nothing', () => {
    expect(() => openChallenge(hold({ requirements: [] }), context(), NOW, 'id')).toThrow(TypeError);
  });
});

describe('decideChallenge', () => {
  it('approves, and keeps who, when and why', () => {
    const decision = { approved: true, binding, reason: 'called the customer' };
    expect(decideChallenge(challenge(), decision, BY, LAST)).toEqual({
      ...challenge(),
      state: 'approved',
      decision: { approved: true, by: BY, reason: 'called the customer', at: LAST },
    });
  });

  it('rejects', () => {
    expect(rejected).toEqual({
      ...challenge(),
      state: 'rejected',
      decision: { approved: false, by: BY, at: NOW + 1000 },
    });
  });

  it('rejects where approved is anything but true', () => {
    const odd = { approved: 'yes' as unknown as boolean, binding };
    expect(of(decideChallenge(challenge(), odd, BY, NOW)).state).toBe('rejected');
  });

  const refused: Readonly<Record<string, readonly [result: Challenge | string, refusal: string]>> = {
    'one that was approved': [approve(approved), 'not_pending'],
    'one that was rejected': [approve(rejected), 'not_pending'],
    'one that was spent': [approve(consumed), 'not_pending'],
    'one that expired': [approve(expired), 'expired'],
    'one that is over at this very second': [approve(challenge(), OVER), 'expired'],
    'one that was approved and never used': [approve(approved, OVER), 'expired'],
    'one of another act': [
      decideChallenge(challenge(), { approved: true, binding: 'other' }, BY, NOW),
      'binding_mismatch',
    ],
    'one of another act, to reject it': [
      decideChallenge(challenge(), { approved: false, binding: '' }, BY, NOW),
      'binding_mismatch',
    ],
  };
  it.each(Object.entries(refused))('refuses %s', (_what, [result, refusal]) => {
    expect(result).toBe(refusal);
  });
});

describe('expireChallenge', () => {
  it('ends what is pending or approved, at the second', () => {
    for (const one of [challenge(), approved]) {
      expect(expireChallenge(one, LAST)).toBe(one);
      expect(expireChallenge(one, OVER)).toEqual({ ...one, state: 'expired' });
    }
  });

  it('leaves what is final as it is', () => {
    for (const one of [rejected, consumed, expired]) expect(expireChallenge(one, OVER + HOUR)).toBe(one);
  });
});

describe('spendChallenge', () => {
  it('keeps the record of the one effect', () => {
    expect(consumed).toEqual({
      ...approved,
      state: 'consumed',
      spent: { at: NOW + 2000, record: permitAt(NOW + 2000) },
    });
  });

  const spend = (one: Challenge, now = NOW, bound = binding) => spendChallenge(one, bound, permitAt(now), now);
  const refused: Readonly<Record<string, readonly [result: Challenge | string, refusal: string]>> = {
    'nobody decided': [spend(challenge()), 'not_approved'],
    'it was rejected': [spend(rejected), 'not_approved'],
    'it expired': [spend(expired), 'expired'],
    'the approval is over at this very second': [spend(approved, OVER), 'expired'],
    'it was spent': [spend(consumed, NOW + 3000), 'consumed'],
    'S-01 the act is another': [spend(approved, NOW, 'other'), 'binding_mismatch'],
  };
  it.each(Object.entries(refused))('refuses where %s', (_what, [result, refusal]) => {
    expect(result).toBe(refusal);
  });

  it('throws for a record that permits nothing', () => {
    const { jti: _jti, ...withoutID } = permitAt(NOW);
    const denial: DecisionRecord = { ...permitAt(NOW), outcome: 'denial' };
    for (const record of [withoutID, denial])
      expect(() => spendChallenge(approved, binding, record, NOW)).toThrow(TypeError);
  });
});

describe('replayOf', () => {
  const at = NOW + 2000;
  it('gives the same record for two minutes after it was spent', () => {
    expect(replayOf(consumed, at)).toEqual(permitAt(at));
    expect(replayOf(consumed, at + 119_999)).toEqual(permitAt(at));
    expect(replayOf(consumed, at + 120_000)).toBe('consumed');
  });

  it('gives none of a mandate that is over', () => {
    const record = { ...permitAt(at), expiresAt: SECONDS + 30 };
    const short = of(spendChallenge(approved, binding, record, at));
    expect(replayOf(short, NOW + 29_999)).toEqual(record);
    expect(replayOf(short, NOW + 30_000)).toBe('consumed');
  });

  it('gives none of what was not spent', () => {
    for (const one of [challenge(), approved, rejected, expired]) expect(replayOf(one, NOW)).toBe('not_spent');
  });
});

describe('readPresented', () => {
  const rows: Readonly<Record<string, readonly [result: ReturnType<typeof readPresented>, type: string]>> = {
    'that waits is pending': [readPresented(challenge(), binding, LAST), 'pending'],
    'that was approved is to be spent': [readPresented(approved, binding, LAST), 'approved'],
    'that was rejected is rejected': [readPresented(rejected, binding, LAST), 'rejected'],
    'that was just spent gives the same again': [readPresented(consumed, binding, NOW + 3000), 'replay'],
    'that was spent long ago is consumed': [readPresented(consumed, binding, OVER), 'consumed'],
    'that does not exist is unknown': [readPresented(undefined, binding, NOW), 'unknown'],
    'that is over is unknown': [readPresented(challenge(), binding, OVER), 'unknown'],
    'whose approval is over is unknown': [readPresented(approved, binding, OVER), 'unknown'],
    'whose rejection is over is unknown': [readPresented(rejected, binding, OVER), 'unknown'],
    'that expired is unknown': [readPresented(expired, binding, NOW), 'unknown'],
    'S-01 of another act is unknown': [readPresented(approved, 'other', NOW), 'unknown'],
    'S-01 of another act is unknown, also once it was spent': [readPresented(consumed, 'other', NOW), 'unknown'],
  };
  it.each(Object.entries(rows))('a challenge %s', (_what, [result, type]) => {
    expect(result.type).toBe(type);
  });
});

type Step =
  | { readonly type: 'decide'; readonly approved: boolean; readonly same: boolean; readonly wait: number }
  | { readonly type: 'expire'; readonly wait: number }
  | { readonly type: 'spend'; readonly same: boolean; readonly wait: number };

const wait = fc.oneof(fc.constantFrom(0, 1, 999, HOUR), fc.nat(HOUR / 2));
const same = fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.boolean());
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('decide' as const), approved: same, same, wait }),
  fc.record({ type: fc.constant('expire' as const), wait: fc.oneof(fc.constant(0), wait) }),
  fc.record({ type: fc.constant('spend' as const), same, wait }),
);

function take(one: Challenge, taken: Step, now: number): Challenge | string {
  switch (taken.type) {
    case 'decide':
      return decideChallenge(one, { approved: taken.approved, binding: taken.same ? binding : 'other' }, BY, now);
    case 'expire':
      return expireChallenge(one, now);
    case 'spend':
      return spendChallenge(one, taken.same ? binding : 'other', permitAt(now), now);
  }
}

const NEXT: Readonly<Record<Challenge['state'], readonly Challenge['state'][]>> = {
  pending: ['pending', 'approved', 'rejected', 'expired'],
  approved: ['approved', 'consumed', 'expired'],
  rejected: ['rejected'],
  expired: ['expired'],
  consumed: ['consumed'],
};

describe('any sequence of steps', () => {
  it('spends once at most, only what was approved in time, and nothing leaves a final state', () => {
    const seen = new Set<Challenge['state']>();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let [now, current, spends] = [NOW, challenge(), 0];
        for (const taken of steps) {
          now += taken.wait;
          const next = take(current, taken, now);
          if (typeof next === 'string') continue;
          if (next !== current && next.spent) {
            spends += 1;
            expect([current.state, current.decision?.approved, now < OVER]).toEqual(['approved', true, true]);
          }
          expect(NEXT[current.state]).toContain(next.state);
          if (NEXT[current.state].length === 1) expect(next).toBe(current);
          const { state: _state, decision: _decision, spent: _spent, ...fixed } = next;
          expect({ ...challenge(), ...fixed }).toEqual(challenge());
          current = next;
          seen.add(current.state);
        }
        expect(spends).toBe(current.state === 'consumed' ? 1 : 0);
      }),
      { numRuns: 2000 },
    );
    expect([...seen].sort()).toEqual(Object.keys(NEXT).sort());
  });
});
