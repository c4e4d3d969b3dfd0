/** `caracal up` that is killed under load and started again over the same data, again and again. */
import { describe, expect, it } from 'vitest';
import { run } from '../cli/run.ts';
import { clientOf } from './client.ts';
import { count, howOften } from './counts.ts';
import { newLedger, startLoad } from './load.ts';
import { nothingKnown, readEmbedded, reconcile, type Held } from './reconcile.ts';
import { kill, makePlace } from './world.ts';

const KILLS = howOften(200, 6);
/** Answers between two kills: a random number of them, so that they come at any moment of the work. */
const MOST_ANSWERS = 60;

describe('an STS that is killed', () => {
  it(
    'R-13 S-08 A-07 has lost nothing that it answered and did nothing twice, and its log is whole',
    { timeout: 60_000 + KILLS * 15_000 },
    async (context) => {
      const place = await makePlace();
      const client = clientOf(place);
      const ledger = newLedger();
      const known = nothingKnown();
      let held: Held = { lost: [], doubled: [] };
      for (let round = 0; round < KILLS; round += 1) {
        const up = await place.start();
        await reconcile(ledger, client, known);
        const until = ledger.acknowledged + 1 + Math.floor(Math.random() * MOST_ANSWERS);
        const killed = Promise.withResolvers<void>();
        const load = startLoad(ledger, client, () => {
          if (ledger.acknowledged === until) kill(up).then(killed.resolve, killed.reject);
        });
        await killed.promise;
        await load.stop();
        held = readEmbedded(place.store, ledger);
        expect([round, held, ledger.wrong]).toEqual([round, { lost: [], doubled: [] }, []]);
      }
      const up = await place.start();
      await reconcile(ledger, client, known);
      await reconcile(ledger, client, { ...nothingKnown(), approvals: known.approvals });
      await up.stop();
      const verified = await run(['audit', 'verify', '--data', place.data, '--output', 'json']);
      const { alarms } = JSON.parse(verified.out) as { readonly alarms: readonly unknown[] };
      expect([verified.exit, alarms, ledger.wrong]).toEqual([0, [], []]);
      count(context, {
        ...{ fault: 'SIGKILL', runs: KILLS, acknowledged: ledger.acknowledged, mandates: ledger.jtis.size },
        ...{ sessions: ledger.sessions.size, edges: ledger.edges.size, approvals: ledger.approvals.size },
        ...{ lost: held.lost.length, doubled: held.doubled.length, alarms: alarms.length },
      });
    },
  );
});
