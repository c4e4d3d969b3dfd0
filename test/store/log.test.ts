/** The stored log: chained in the transaction of each decision, signed over, continued after a kill, and refused when it was changed. */
import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseNoteVerifier } from '../../src/audit/note.ts';
import { createVerifier, type Report } from '../../src/audit/verify.ts';
import { publicKeyPath } from '../../src/store/auditKey.ts';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { decisionOf, singleUseOf } from './records.ts';
import { openStore, tamper, tempFolder, tempPath } from './support.ts';

const committer = fileURLToPath(new URL('./committer.ts', import.meta.url));

function verify(path: string): Report {
  const keys = readFileSync(publicKeyPath(path), 'utf8').trim().split('\n').map(parseNoteVerifier);
  const verifier = createVerifier({ keys, source: 'store' });
  const reader = openSQLiteReader({ path });
  for (const line of reader.logLines()) verifier.add(Buffer.from(line));
  reader.close();
  return verifier.end(true);
}

/** Ten decisions in each of two zones. */
async function writtenLog(): Promise<string> {
  const path = tempPath();
  const store = await openStore({ path });
  for (let index = 0; index < 20; index += 1)
    await store.commit({ decision: decisionOf(`d${index}`, { zoneUID: `zone-${index % 2}` }) });
  await store.close();
  return path;
}

describe('the log of a store', () => {
  it('holds every decision in the chain of its zone, and is signed to the end when the store is closed', async () => {
    expect(verify(await writtenLog())).toMatchObject({
      ...{ alarms: [], zones: 2, chains: 2, records: 20, checkpoints: 2, afterCheckpoint: 0 },
    });
  });

  it('is signed by itself while the store is in use', async () => {
    const path = tempPath();
    const store = await openStore({ path, checkpointMs: 1 });
    for (const id of ['one', 'two']) {
      await store.commit({ decision: decisionOf(id) });
      await vi.waitFor(() => expect(verify(path)).toMatchObject({ alarms: [], afterCheckpoint: 0 }));
    }
    expect(verify(path).checkpoints).toBe(2);
  });

  it('has no place for what was refused or replayed', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one'), consume: [singleUseOf('spent')] });
    const results = await Promise.allSettled([
      store.commit({ decision: decisionOf('replayed'), consume: [singleUseOf('spent')] }),
      store.commit({ decision: decisionOf('two') }),
      store.commit({ decision: decisionOf('two', { jti: 'other' }) }),
      store.commit({ decision: decisionOf('three') }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    await store.close();
    expect(verify(path)).toMatchObject({ alarms: [], records: 3 });
  });

  it('A-07 loses no answered record to a kill, and its chain goes on', async () => {
    const path = tempPath();
    let acked = 0;
    for (let round = 0; round < 3; round += 1) {
      const child = spawn(process.execPath, [committer, path], { stdio: ['ignore', 'pipe', 'ignore'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      for await (const line of createInterface({ input: child.stdout })) {
        if (line.startsWith('acked ') && (acked += 1) % 300 === 0) child.kill('SIGKILL');
      }
    }
    await (await openStore({ path })).close();
    const report = verify(path);
    expect(report).toMatchObject({ alarms: [], chains: 1, afterCheckpoint: 0 });
    expect(report.records).toBeGreaterThanOrEqual(acked);
  });

  it('of a copy begins chains of its own beside the ones it brought', async () => {
    const path = await writtenLog();
    const copy = join(tempFolder(), 'store.db');
    for (const end of ['', '.audit.key', '.audit.pub', '.seal.key']) copyFileSync(`${path}${end}`, `${copy}${end}`);
    const store = await openStore({ path: copy });
    await store.commit({ decision: decisionOf('later', { zoneUID: 'zone-0' }) });
    await store.close();
    expect(verify(copy)).toMatchObject({ alarms: [], zones: 2, chains: 3, records: 21 });
  });

  it('of an earlier schema is chained as it is', async () => {
    const path = await writtenLog();
    tamper(
      path,
      `DROP TABLE checkpoints; DROP TABLE revocations; DROP TABLE zone_heads; DROP TABLE runtime_objects;
       DROP TABLE runtime_entries; DROP TABLE seal_proof; ALTER TABLE authority_records DROP COLUMN seal; DROP INDEX decisions_by_position;
       ALTER TABLE decisions DROP COLUMN writer; ALTER TABLE decisions DROP COLUMN position;
       ALTER TABLE decisions DROP COLUMN hash; PRAGMA user_version = 1`,
    );
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('later', { zoneUID: 'zone-0' }) });
    await store.close();
    expect(verify(path)).toMatchObject({ alarms: [], chains: 2, records: 21, afterCheckpoint: 0 });
  });
});

describe('a log that was changed in its file', () => {
  const CASES: Readonly<Record<string, readonly [statements: string, reason: string, position: number]>> = {
    'A-01 a record': [
      `UPDATE decisions SET record = replace(record, 'permit', 'denial') WHERE id = 'd8'`,
      'RecordChanged',
      5,
    ],
    'A-14 the hash of a record': [
      `UPDATE decisions SET hash = '${'0'.repeat(64)}' WHERE id = 'd8'`,
      'RecordChanged',
      5,
    ],
    'A-02 a record that is gone': [`DELETE FROM decisions WHERE id = 'd8'`, 'RecordMissing', 5],
    'A-02 the last records': [
      `DELETE FROM decisions WHERE zone_uid = 'zone-0' AND position > 6`,
      'RecordsTruncated',
      7,
    ],
    'A-01 a record of another zone': [
      `UPDATE decisions SET zone_uid = 'zone-1', position = 11 WHERE id = 'd18'`,
      'RecordsTruncated',
      10,
    ],
  };
  for (const [name, [statements, reason, position]] of Object.entries(CASES)) {
    it(`is named: ${name}`, async () => {
      const path = await writtenLog();
      tamper(path, statements);
      expect(verify(path).alarms[0]).toMatchObject({ reason, position, chain: { zoneUID: 'zone-0' } });
    });
  }

  it('A-02 is named where a whole zone is gone', async () => {
    const path = await writtenLog();
    tamper(path, `DELETE FROM decisions WHERE zone_uid = 'zone-0'; DELETE FROM checkpoints WHERE zone_uid = 'zone-0'`);
    expect(verify(path).alarms.map(({ reason }) => reason)).toEqual(['CheckpointMissing']);
  });

  it('A-13 is never signed over: a store whose log ends before or beside what was signed does not open', async () => {
    for (const statements of [
      `DELETE FROM decisions WHERE zone_uid = 'zone-0' AND position = 10`,
      `UPDATE decisions SET hash = '${'0'.repeat(64)}' WHERE id = 'd18'`,
    ]) {
      const path = await writtenLog();
      tamper(path, statements);
      await expect(openStore({ path })).rejects.toThrow(
        /the log of zone zone-0 is not the one that was written, at record 10: keep the store as evidence/,
      );
    }
  });
});

describe('the key of the log', () => {
  it('is for its owner only, and its public half for everyone', async () => {
    const path = await writtenLog();
    const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);
    expect([`${path}.audit.key`, publicKeyPath(path)].map(mode)).toEqual(['600', '644']);
  });

  it('A-16 that is gone is made anew: who holds the old one sees it, and what it signed still verifies', async () => {
    const path = await writtenLog();
    const pinned = readFileSync(publicKeyPath(path), 'utf8');
    rmSync(`${path}.audit.key`);
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('later', { zoneUID: 'zone-0' }) });
    await store.close();
    expect(verify(path)).toMatchObject({ alarms: [], records: 21 });
    const verifier = createVerifier({ keys: [parseNoteVerifier(pinned.trim())], source: 'store' });
    const reader = openSQLiteReader({ path });
    for (const line of reader.logLines()) verifier.add(Buffer.from(line));
    reader.close();
    expect(verifier.end(true).alarms[0]!.reason).toBe('SignatureInvalid');
  });

  it('is not made beside a file that is no store', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.close();
    rmSync(`${path}.audit.key`);
    tamper(path, 'PRAGMA user_version = 99');
    await expect(openStore({ path })).rejects.toThrow('has schema 99');
    expect(statSync(`${path}.audit.key`, { throwIfNoEntry: false })).toBe(undefined);
  });
});
