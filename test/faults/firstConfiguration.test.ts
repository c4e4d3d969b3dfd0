/** A replica that starts while its store fails: it says so, and does not take the zones that it has not served yet for unknown ones. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { BY_SECRET, errorOf, READ, startSTS } from '../sts/service.ts';

it('a replica whose store fails as it starts is not ready and says 503, until it serves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-first-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  let fails = true;
  const sts = await startSTS(
    {},
    {
      async openStore() {
        const store = await openSQLiteStore({ path: join(folder, 'store.db'), clock: Date, randomBytes });
        const raiseEpoch: typeof store.raiseEpoch = async (...raised) => {
          if (fails) throw new StoreUnavailable('the disk is slow');
          return store.raiseEpoch(...raised);
        };
        return { ...store, raiseEpoch };
      },
    },
  );
  onTestFinished(() => sts.close());
  expect((await sts.send({ path: '/ready' })).status).toBe(503);
  expect(errorOf(await sts.token({ ...BY_SECRET, ...READ }))).toBe('503 sts_unavailable');
  fails = false;
  await expect.poll(async () => (await sts.send({ path: '/ready' })).status, { timeout: 10_000 }).toBe(200);
  expect((await sts.token({ ...BY_SECRET, ...READ })).status).toBe(200);
});
