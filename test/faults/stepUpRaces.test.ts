/** One approval that many want to spend at both replicas at once, with what else may happen to it in the same moment. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { policy, policySet, revision, zone } from '../compiler/world.ts';
import { BY_SECRET, errorOf, mandateOf, startSTS, type Answer, type Form, type TestSTS } from '../sts/service.ts';
import { call, lifecycleOf, startAgent } from '../sts/agentCalls.ts';
import { postgresFor, type PostgresFor } from '../sts/replicaStore.ts';
import { PAYMENTS, ZONE_UID } from '../sts/shop.ts';
import { decode } from '../sts/tokens.ts';
import { count, howOften } from './counts.ts';

const ROUNDS = howOften(600, 20);
const REGO = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;

let database: PostgresFor;
let replicas: readonly [TestSTS, TestSTS];

beforeAll(async () => {
  database = await postgresFor();
  const one = await startSTS({}, database);
  replicas = [one, await startSTS({}, { ...database, keys: one.keys })];
  const held = revision(2, { policies: [{ name: 'shop', rego: REGO }] }, policySet({ policies: [{ name: 'shop' }] }));
  const limits = { agentSessions: 100_000, agentSessionsPerApplication: 100_000 };
  for (const sts of replicas)
    await sts.apply((world) => ({
      ...world,
      zones: world.zones.map((one) =>
        one.metadata.uid === ZONE_UID
          ? zone({ ...one.spec, limits: { ...one.spec.limits, ...limits } }, one.metadata)
          : one,
      ),
      policies: [policy({ rego: REGO }, { name: 'shop' }), ...world.policies.slice(1)],
      policySetRevisions: [...world.policySetRevisions, held],
    }));
}, 120_000);
afterAll(async () => {
  for (const sts of replicas) await sts.close();
  await database.close();
});

const operator = { type: 'operator', name: 'alice', groups: [], applications: [] } as const;

async function decide(sts: TestSTS, id: string, approved: boolean): Promise<boolean> {
  const found = (await sts.challenges().wait(id, 0))!;
  try {
    await sts.challenges().decide(found, { approved, binding: found.challenge.binding }, operator, 'test');
    return true;
  } catch {
    return false;
  }
}

/** What happens beside the spending. */
const KINDS = ['nothing', 'two decisions', 'an end of the session', 'approval at the same time'] as const;

interface Round {
  readonly kind: (typeof KINDS)[number];
  readonly answers: readonly Answer[];
  readonly id: string;
  readonly decisions: number;
}

const isHeads = () => Math.random() < 0.5;

async function play(round: number): Promise<Round> {
  const kind = KINDS[round % KINDS.length]!;
  const [one, two] = isHeads() ? replicas : [replicas[1], replicas[0]];
  const lifecycle = await lifecycleOf(one);
  // A session of its own: what waits in one holds up no other.
  const session = await startAgent(one, lifecycle, 'shop.cart');
  const act: Form = { ...BY_SECRET, resource: PAYMENTS, scope: 'write', use: 'resource', agent_session_id: session };
  const id = String((await one.token(act)).body['challenge_id']);
  let decisions = 0;
  const decideAt = async (sts: TestSTS, approved = true) =>
    void ((await decide(sts, id, approved)) && (decisions += 1));
  if (kind === 'two decisions') {
    const approved = isHeads();
    await Promise.all([decideAt(one, approved), decideAt(two, !approved)]);
  } else if (kind !== 'approval at the same time') await decideAt(two);
  const spend = () =>
    Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? one : two).token({ ...act, challenge_id: id }));
  const disturb = (): Promise<unknown>[] => {
    if (kind === 'an end of the session') return [call(two, lifecycle, 'DELETE', `/agents/${session}`)];
    return kind === 'approval at the same time' ? [decideAt(one), decideAt(two)] : [];
  };
  const early = isHeads() ? disturb() : undefined;
  const spending = spend();
  const beside = early ?? disturb();
  const [answers] = await Promise.all([Promise.all(spending), Promise.all(beside)]);
  if (kind === 'approval at the same time') answers.push(await two.token({ ...act, challenge_id: id }));
  return { kind, answers, id, decisions };
}

interface Minted {
  readonly what: string;
  readonly kind: Round['kind'];
  readonly jtis: ReadonlySet<unknown>;
}

/** Where the permits of a challenge in the store are not the mandates that were answered. */
async function otherwiseRecorded(mintedFor: ReadonlyMap<string, Minted>): Promise<readonly string[]> {
  const records = await replicas[0].store().decisions(ZONE_UID, 1_000_000);
  const permits = Map.groupBy(
    records.filter(({ challengeID, outcome }) => challengeID !== undefined && outcome === 'permit'),
    ({ challengeID }) => challengeID!,
  );
  return [...mintedFor].flatMap(([id, { what, kind, jtis }]) => {
    const recorded = (permits.get(id) ?? []).map(({ jti }) => jti);
    // One that was spent while its session ended is recorded, and given to nobody.
    const isEnded = kind === 'an end of the session' && jtis.size === 0 && recorded.length <= 1;
    const isSame = recorded.length === jtis.size && recorded.every((jti) => jtis.has(jti));
    return isSame || isEnded ? [] : [`${what}: ${recorded.length} permits for ${jtis.size} mandates`];
  });
}

/** Besides the mandate: pending still, rejected, spent, of a session that is over, or not to be had now. */
const REFUSALS = ['401 interaction_required', '403 access_denied', '409 approval_consumed', '503 sts_unavailable'];

describe('an approval', () => {
  it(
    `S-08 S-10 S-14 X-16 is decided once and spent at most once, in ${ROUNDS} races over two replicas`,
    { timeout: 60_000 + ROUNDS * 2000 },
    async (context) => {
      const counts = { minted: 0, twice: 0, decidedTwice: 0, unavailable: 0 };
      const wrong: string[] = [];
      const mintedFor = new Map<string, Minted>();
      for (let round = 0; round < ROUNDS; round += 1) {
        const { kind, answers, id, decisions } = await play(round);
        const minted = answers
          .filter(({ status }) => status === 200)
          .map((answer) => decode(mandateOf(answer)).claims['jti']);
        const refused = answers.filter(({ status }) => status !== 200).map(errorOf);
        wrong.push(
          ...refused.filter((error) => !REFUSALS.includes(error)).map((error) => `${round} ${kind}: ${error}`),
        );
        counts.unavailable += refused.filter((error) => error.startsWith('503')).length;
        const jtis = new Set(minted).size;
        if (jtis > 1) counts.twice += 1;
        if (decisions > 1) counts.decidedTwice += 1;
        counts.minted += jtis;
        mintedFor.set(id, { what: `${round} ${kind}`, kind, jtis: new Set(minted) });
        if (kind === 'nothing' && jtis !== 1) wrong.push(`${round} ${kind}: ${refused.join(', ')}`);
      }
      wrong.push(...(await otherwiseRecorded(mintedFor)));
      expect([wrong, counts.twice, counts.decidedTwice]).toEqual([[], 0, 0]);
      expect(counts.minted).toBeGreaterThanOrEqual(ROUNDS / 2);
      count(context, { fault: 'step-up races over two replicas', runs: ROUNDS, ...counts });
    },
  );
});
