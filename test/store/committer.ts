/** A process of its own that commits without end and prints each id only when its commit was answered. */
import { randomBytes } from 'node:crypto';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { decisionOf, singleUseOf } from './records.ts';

const path = process.argv[2]!;
const store = await openSQLiteStore({ path, clock: Date, randomBytes, lockTimeoutMs: 100 });
process.stdout.write(`open ${store.incarnation}\n`);

async function commitForever(lane: number): Promise<void> {
  for (let index = 0; ; index += 1) {
    const id = `${lane}-${index}-${process.pid}`;
    try {
      await store.commit({ decision: decisionOf(id, { requestID: 'x'.repeat(2000) }), consume: [singleUseOf(id)] });
      process.stdout.write(`acked ${id}\n`);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      process.stdout.write(`unavailable ${error.message}\n`);
    }
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => commitForever(lane)));
