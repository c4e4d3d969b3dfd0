/** The chains of one writer, where the database is slow. */
import type { QueryResult } from 'pg';
import { expect, it } from 'vitest';
import { createNoteSigner, generateNoteKey } from '../../src/audit/note.ts';
import { createChains } from '../../src/store/postgres/chains.ts';
import type { Session, Sessions } from '../../src/store/postgres/sessions.ts';

it('are signed one after the other, so that no checkpoint covers less than one of a lower number', async () => {
  const chains = createChains('writer', createNoteSigner('caracal.run/audit', generateNoteKey()));
  const written: { readonly number: number; readonly size: number }[] = [];
  const session: Session = {
    async query(text, values = []) {
      if (text.startsWith('SELECT')) return { rows: [{ number: written.at(-1)?.number ?? null }] } as QueryResult;
      const [, [number], , [size]] = values as [unknown, [number], unknown, [number]];
      written.push({ number, size });
      return { rows: [] as unknown[] } as QueryResult;
    },
  };
  const first = Promise.withResolvers<void>();
  const waits = [first.promise];
  const slow: Pick<Sessions, 'tend'> = {
    async tend(act) {
      await waits.shift();
      return act(session);
    },
  };
  chains.advance(new Map([['zone-uid', { size: 9, hash: 'nine' }]]));
  const earlier = chains.sign(slow, 0);
  // It has chosen what it signs, and waits for the database.
  await Promise.resolve();
  chains.advance(new Map([['zone-uid', { size: 10, hash: 'ten' }]]));
  const later = chains.sign(slow, 0);
  setImmediate(first.resolve);
  await Promise.all([earlier, later]);
  expect(written).toEqual([
    { number: 1, size: 9 },
    { number: 2, size: 10 },
  ]);
});
