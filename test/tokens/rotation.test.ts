/** Signing keys over time: one signs, one waits, none goes while a token of it may live. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PrivateZoneKey } from '../../src/tokens/keys.ts';
import { planRotation, selectSigningKey, type RotationPlan, type RotationState } from '../../src/tokens/rotation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SETTINGS: Omit<RotationState, 'keys' | 'now'> = {
  rotateEveryMs: 720 * HOUR,
  publishBeforeMs: 10 * MINUTE,
  overlapMs: 24 * HOUR,
  maxMandateLifetimeMs: HOUR,
  revoked: [],
  servedByAll: () => true,
};

/** Plans one after the other, with keys named in the order in which they are made. */
function createRing(settings: Partial<RotationState> = {}) {
  let made = 0;
  let keys: readonly PrivateZoneKey[] = [];
  return {
    keys: () => keys,
    restore: (given: readonly PrivateZoneKey[]) => (keys = given),
    at(now: number, more: Partial<RotationState> = {}): RotationPlan {
      const plan = planRotation({ ...SETTINGS, ...settings, keys, now, ...more }, (activeAt) => ({
        kid: `k${++made}`,
        x: '',
        y: '',
        d: '',
        createdAt: now,
        activeAt,
      }));
      keys = plan.keys;
      return plan;
    },
  };
}
const summary = ({ keys }: RotationPlan) => keys.map(({ kid, activeAt }) => [kid, activeAt]);

describe('planRotation', () => {
  it('begins with a key that signs at once and a standby', () => {
    const plan = createRing().at(1000);
    expect(summary(plan)).toEqual([
      ['k1', 1000],
      ['k2', undefined],
    ]);
    expect(plan).toMatchObject({ changed: true, rotatesAt: 1000 + 720 * HOUR, nextChange: 1000 + 720 * HOUR });
    expect(plan.signing?.kid).toBe('k1');
  });

  it('changes nothing before it is time', () => {
    const ring = createRing();
    ring.at(0);
    const before = ring.keys();
    const plan = ring.at(720 * HOUR - 1);
    expect(plan.changed).toBe(false);
    expect(plan.keys).toEqual(before);
  });

  it('gives the standby its hour once all replicas serve it, and a new standby after that hour', () => {
    const ring = createRing();
    ring.at(0);
    const waiting = ring.at(720 * HOUR, { servedByAll: () => false });
    expect(waiting).toMatchObject({ changed: false, nextChange: undefined });
    const due = 721 * HOUR;
    const scheduled = ring.at(due, { servedByAll: (kid) => kid === 'k2' });
    expect(summary(scheduled)).toEqual([
      ['k1', 0],
      ['k2', due + 10 * MINUTE],
    ]);
    expect(scheduled).toMatchObject({ nextChange: due + 10 * MINUTE, rotatesAt: due + 10 * MINUTE });
    expect(ring.at(due + 10 * MINUTE - 1)).toMatchObject({ changed: false, signing: { kid: 'k1' } });
    const rotated = ring.at(due + 10 * MINUTE);
    expect(rotated).toMatchObject({ changed: true, signing: { kid: 'k2' } });
    expect(summary(rotated).map(([kid]) => kid)).toEqual(['k1', 'k2', 'k3']);
  });

  it('removes an old key only after the overlap, and never before its last token is over', () => {
    for (const [overlapMs, keptFor] of [
      [24 * HOUR, 24 * HOUR],
      [MINUTE, HOUR + 5000],
    ] as const) {
      const ring = createRing({ overlapMs });
      ring.at(0);
      ring.at(720 * HOUR);
      const tookOver = 720 * HOUR + 10 * MINUTE;
      expect(ring.at(tookOver).nextChange).toBe(tookOver + keptFor);
      expect(ring.at(tookOver + keptFor - 1).keys.some(({ kid }) => kid === 'k1')).toBe(true);
      expect(ring.at(tookOver + keptFor).keys.map(({ kid }) => kid)).toEqual(['k2', 'k3']);
    }
  });

  it('replaces a revoked signing key at once by the standby', () => {
    const ring = createRing();
    ring.at(0);
    const plan = ring.at(HOUR, { revoked: ['k1'] });
    expect(summary(plan)).toEqual([
      ['k2', HOUR],
      ['k3', undefined],
    ]);
    expect(plan.signing?.kid).toBe('k2');
  });

  it('lets a key that waits for its hour sign at once when the signing one is revoked', () => {
    const ring = createRing();
    ring.at(0);
    ring.at(720 * HOUR);
    const plan = ring.at(720 * HOUR + MINUTE, { revoked: ['k1'] });
    expect(summary(plan)).toEqual([
      ['k2', 720 * HOUR + MINUTE],
      ['k3', undefined],
    ]);
  });

  it('never lets a superseded key sign again', () => {
    const ring = createRing();
    ring.at(0);
    ring.at(720 * HOUR);
    ring.at(721 * HOUR);
    const plan = ring.at(722 * HOUR, { revoked: ['k2'] });
    expect(plan.signing?.kid).toBe('k3');
    expect(plan.keys.map(({ kid }) => kid)).toEqual(['k1', 'k3', 'k4']);
  });

  it('replaces a revoked standby, and makes both anew when all are revoked', () => {
    const ring = createRing();
    ring.at(0);
    expect(ring.at(1, { revoked: ['k2'] }).keys.map(({ kid }) => kid)).toEqual(['k1', 'k3']);
    const plan = ring.at(2, { revoked: ['k1', 'k2', 'k3'] });
    expect(summary(plan)).toEqual([
      ['k4', 2],
      ['k5', undefined],
    ]);
  });

  it('keeps one of two standbys, the older', () => {
    const ring = createRing();
    const standby = { x: '', y: '', d: '', activeAt: undefined };
    ring.restore([
      { ...standby, kid: 'young', createdAt: 2 },
      { ...standby, kid: 'old', createdAt: 1 },
      { ...standby, kid: 'signs', createdAt: 0, activeAt: 0 },
    ]);
    expect(ring.at(5).keys.map(({ kid }) => kid)).toEqual(['old', 'signs']);
  });

  const step = fc.record({
    hours: fc.double({ min: 0, max: 400, noNaN: true }),
    revoke: fc.option(fc.nat(3), { nil: undefined }),
    served: fc.boolean(),
  });
  const settings = fc.record({
    rotateEveryMs: fc.integer({ min: HOUR, max: 800 * HOUR }),
    publishBeforeMs: fc.integer({ min: 10 * MINUTE, max: 2 * HOUR }),
    overlapMs: fc.integer({ min: 0, max: 48 * HOUR }),
  });

  it('always has one key that signs, exactly one that waits, and says nothing changed when asked again', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 30 }), (given, steps) => {
        const ring = createRing(given);
        const revoked: string[] = [];
        let now = 0;
        for (const { hours, revoke, served } of [{ hours: 0, revoke: undefined, served: true }, ...steps]) {
          now += Math.round(hours * HOUR);
          const victim = revoke === undefined ? undefined : ring.keys()[revoke]?.kid;
          if (victim !== undefined) revoked.push(victim);
          const plan = ring.at(now, { revoked, servedByAll: () => served });
          expect(plan.signing?.activeAt).toBeLessThanOrEqual(now);
          expect(plan.keys.filter(({ activeAt }) => activeAt === undefined || activeAt > now)).toHaveLength(1);
          expect(plan.keys.some(({ kid }) => revoked.includes(kid))).toBe(false);
          expect(new Set(plan.keys.map(({ kid }) => kid)).size).toBe(plan.keys.length);
          expect(plan.nextChange ?? now + 1).toBeGreaterThan(now);
          expect(ring.at(now, { revoked, servedByAll: () => false })).toMatchObject({ changed: false });
        }
      }),
      { numRuns: 300 },
    );
  });

  it('never signs with a key that was not published long enough, and never drops one too early, unless revoked', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 30 }), (given, steps) => {
        const ring = createRing(given);
        let now = 0;
        ring.at(now);
        const publishedAt = new Map(ring.keys().map(({ kid }) => [kid, -Infinity]));
        const lastSigned = new Map<string, number>();
        for (const { hours, served } of steps) {
          lastSigned.set(selectSigningKey(ring.keys(), now)!.kid, now);
          now += Math.round(hours * HOUR);
          const last = selectSigningKey(ring.keys(), now - 1);
          if (last) lastSigned.set(last.kid, now - 1);
          const before = ring.keys();
          const plan = ring.at(now, { servedByAll: () => served });
          for (const { kid } of plan.keys) if (!publishedAt.has(kid)) publishedAt.set(kid, now);
          expect(now - publishedAt.get(plan.signing!.kid)!).toBeGreaterThanOrEqual(given.publishBeforeMs);
          for (const { kid } of before.filter((key) => !plan.keys.some((kept) => kept.kid === key.kid))) {
            const signed = lastSigned.get(kid);
            if (signed !== undefined) expect(now - signed).toBeGreaterThanOrEqual(HOUR + 5000);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('J-33 a verifier that cached the keys five minutes ago knows the key that signs', () => {
    const ring = createRing({ rotateEveryMs: HOUR });
    ring.at(0);
    let cached = ring.keys();
    for (let now = 0; now < 30 * HOUR; now += 5 * MINUTE) {
      const { signing } = ring.at(now);
      expect(cached.map(({ kid }) => kid)).toContain(signing?.kid);
      cached = ring.keys();
    }
  });
});

describe('selectSigningKey', () => {
  it('takes the newest that is active, whatever the order', () => {
    const keys = [1, 5, 3, undefined, 9].map((activeAt, index) => ({ kid: `k${index}`, activeAt }));
    expect(selectSigningKey(keys, 6)?.activeAt).toBe(5);
    expect(selectSigningKey(keys.toReversed(), 6)?.activeAt).toBe(5);
    expect(selectSigningKey(keys, 0)).toBeUndefined();
  });

  it('chooses the same of two with the same hour, whatever the order', () => {
    const keys = [
      { kid: 'a', activeAt: 1 },
      { kid: 'b', activeAt: 1 },
    ];
    expect(selectSigningKey(keys, 1)?.kid).toBe('b');
    expect(selectSigningKey(keys.toReversed(), 1)?.kid).toBe('b');
  });
});
