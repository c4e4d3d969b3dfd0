/** Row 12: durable records of decisions, 64 in flight, in the embedded store on this machine's disk. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import { decisionOf } from '../store/records.ts';
import { print, quantile, say } from './figure.ts';

const RECORDS = 40_000;
const IN_FLIGHT = 64;
const MUST_PER_SECOND = 10_000;

export async function benchAudit(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-bench-'));
  const clock = { now: () => Date.now() };
  const store = await openSQLiteStore({
    path: join(folder, 'store.db'),
    clock,
    randomBytes: (size) => randomBytes(size),
  });
  try {
    let next = 0;
    const latencies: number[] = [];
    const run = async (until: number) => {
      const worker = async () => {
        while (next < until) {
          const id = `${next++}`;
          const started = performance.now();
          await store.commit({ decision: decisionOf(id) });
          latencies.push(performance.now() - started);
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    };
    say('row 12: warming up');
    await run(RECORDS / 4);
    latencies.length = 0;
    const started = performance.now();
    await run(RECORDS / 4 + RECORDS);
    const perSecond = Math.round((RECORDS * 1000) / (performance.now() - started));
    latencies.sort((a, b) => a - b);
    const { writes, transactions } = store.written();
    print({
      ...{ row: 12, figure: 'durable decision records', unit: '1/s', per_second: perSecond, in_flight: IN_FLIGHT },
      ...{ p50_ms: quantile(latencies, 0.5), p99_ms: quantile(latencies, 0.99) },
      records_per_transaction: Number((writes / transactions).toPrecision(3)),
      ...{ must: `>= ${MUST_PER_SECOND}`, met: perSecond >= MUST_PER_SECOND },
    });
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}
