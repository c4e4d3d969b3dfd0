/** Changes that come while an exchange is under way: no mandate is of a configuration that ended before it was signed. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { policySet, revision } from '../compiler/world.ts';
import { POLICY, ZONE_UID } from './shop.ts';
import { byAssertion, BY_SECRET, errorOf, mandateOf, READ, startSTS, WAIT, type TestSTS } from './service.ts';
import { cartKey, decode, keyAssertionClaims, signAs } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterEach(() => void (sts.meanwhile.evaluated = undefined));
afterAll(() => sts.close());

const ask = () => sts.token({ ...BY_SECRET, ...READ });

/** Only during the first evaluation from here on. */
function once(act: () => Promise<void> | void): void {
  sts.meanwhile.evaluated = () => {
    sts.meanwhile.evaluated = undefined;
    return act();
  };
}

describe('an exchange whose policy was evaluated', () => {
  it('X-19 under a set that another replaced meanwhile is decided by the other', async () => {
    const before = sts.world();
    const rego = `${POLICY.rego}\ndeny contains "closed" if input.scope == "read"\n`;
    const stricter = revision(2, { policies: [{ name: 'shop', rego }] }, policySet({ policies: [{ name: 'shop' }] }));
    const revisions = [...before.policySetRevisions, stricter];
    once(() => sts.apply((world) => ({ ...world, policySetRevisions: revisions })));
    const answer = await ask();
    expect([errorOf(answer), answer.body['reason']]).toEqual(['403 access_denied', 'PolicyDenied']);
    const record = await sts.store().decision(ZONE_UID, String(answer.body['decision_id']));
    expect(record?.policyDigest).toBe(stricter.spec.digest);
    await sts.apply(() => before);
  });

  it('while its Grant was deleted is denied', async () => {
    const before = sts.world();
    once(() => sts.apply((world) => ({ ...world, grants: world.grants.slice(1) })));
    expect(errorOf(await ask())).toBe('403 scope_insufficient');
    await sts.apply(() => before);
  });

  it('while an unrelated Grant was deleted gets its mandate under the new epoch, and spends its jti once', async () => {
    const before = sts.world();
    const first = decode(mandateOf(await ask())).claims['epoch'] as number;
    const credentials = byAssertion(signAs(cartKey, keyAssertionClaims(sts.seconds())));
    once(() =>
      sts.apply((world) => ({ ...world, grants: world.grants.filter(({ metadata }) => metadata.name !== 'alice') })),
    );
    const answer = await sts.token({ ...credentials, ...READ });
    expect(decode(mandateOf(answer)).claims['epoch']).toBe(first + 1);
    expect(errorOf(await sts.token({ ...credentials, ...READ }))).toBe('401 invalid_client');
    await sts.apply(() => before);
  });

  it('again and again under an epoch that is over is given up with 503', async () => {
    const before = sts.world();
    let flip = false;
    sts.meanwhile.evaluated = () => {
      flip = !flip;
      return sts.apply(() =>
        flip ? { ...before, grants: before.grants.filter(({ metadata }) => metadata.name !== 'alice') } : before,
      );
    };
    expect(errorOf(await ask())).toBe('503 sts_unavailable');
    sts.meanwhile.evaluated = undefined;
    await sts.apply(() => before);
    expect((await ask()).status).toBe(200);
  });
});

describe('a replica behind the store', () => {
  it('issues nothing until it has caught up', async () => {
    const before = sts.world();
    await sts.store().raiseEpoch(ZONE_UID, 'of-another-replica', { all: true, applications: [], resources: [] });
    expect(errorOf(await ask())).toBe('503 sts_unavailable');
    await sts.apply((world) => ({
      ...world,
      grants: world.grants.filter(({ metadata }) => metadata.name !== 'alice'),
    }));
    expect((await ask()).status).toBe(200);
    await sts.apply(() => before);
  });
});

describe('exchanges beside changes', () => {
  it(
    'J-39 always carry the epoch and digest of the decision that is on disk',
    { timeout: WAIT.timeout * 3 },
    async () => {
      const before = sts.world();
      const stop = new AbortController();
      const changing = (async () => {
        while (!stop.signal.aborted) {
          await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
          await sts.apply(() => before);
        }
      })();
      const answers = (
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            const own = [];
            for (let round = 0; round < 25; round += 1) own.push(await ask());
            return own;
          }),
        )
      ).flat();
      stop.abort();
      await changing;
      const issued = answers.filter(({ status }) => status === 200).map((answer) => decode(mandateOf(answer)).claims);
      const others = new Set(answers.filter(({ status }) => status !== 200).map(errorOf));
      expect([...others].filter((error) => !['403 scope_insufficient', '503 sts_unavailable'].includes(error))).toEqual(
        [],
      );
      for (const { jti, epoch, pol, exp } of issued) {
        const record = await sts.store().decisionByJTI(ZONE_UID, String(jti));
        expect([record?.outcome, record?.epoch, record?.policyDigest, record?.expiresAt]).toEqual([
          'permit',
          epoch,
          pol,
          exp,
        ]);
        expect(record?.grants).toEqual(['shop/cart-payments']);
      }
      expect(issued.length).toBeGreaterThan(0);
    },
  );
});
