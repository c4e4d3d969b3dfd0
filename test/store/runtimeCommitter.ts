/** A process of its own that writes runtime state without end, each session with its decision, and prints each sequence when it was answered. */
import { randomBytes } from 'node:crypto';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import { decisionOf, sessionOf } from './records.ts';

const store = await openSQLiteStore({ path: process.argv[2]!, clock: Date, randomBytes });
const change = { all: false, applications: [], resources: [], sessions: [] };

for (let { sequence } = await store.runtime('zone-uid'); ; sequence += 1) {
  const id = `s${sequence + 1}`;
  const runtime = { expected: sequence, puts: [sessionOf(id)], change };
  const { ok } = await store.commit({ decision: decisionOf(id), runtime });
  if (!ok) throw new Error(`a conflict at ${sequence}, though nobody else writes`);
  process.stdout.write(`acked ${sequence + 1}\n`);
}
