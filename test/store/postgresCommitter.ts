/** A process of its own that writes runtime state in PostgreSQL without end, and prints each sequence only when it was answered. */
import { randomBytes } from 'node:crypto';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { openPostgresStore } from '../../src/store/postgres/postgres.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { decisionOf, sessionOf } from './records.ts';

const [url, keys, name] = process.argv.slice(2) as [string, string, string];
const address = parsePostgresAddress(url);
const store = await openPostgresStore({
  ...{ address, password: process.env['PGPASSWORD'], keys, clock: Date, randomBytes, checkpointMs: 20 },
});

async function write(id: string, session: string): Promise<void> {
  const expected = (await store.runtime('zone-uid')).sequence;
  const result = await store.commit({
    decision: decisionOf(id, { at: Date.now() }),
    runtime: { expected, puts: [sessionOf(session)] },
  });
  if (result.ok) process.stdout.write(`acked ${id} ${result.entry!.sequence}\n`);
}

for (let attempt = 0; ; attempt += 1) {
  try {
    // Few sessions: each round reads them all.
    await write(`${name}-${attempt}`, `${name}-${attempt % 3}`);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}
