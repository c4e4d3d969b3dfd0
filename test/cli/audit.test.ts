/** `caracal audit`: lists, shows, exports and verifies what a data folder has recorded. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecisionRecord } from '../../src/authority/decision.ts';
import { openSQLiteStore, type SQLiteStore } from '../../src/store/sqlite.ts';
import { authorityRecordOf, decisionOf } from '../store/records.ts';
import { run } from './run.ts';

const START = Date.parse('2026-03-01T12:00:00Z');
const { principal, subject } = authorityRecordOf('sid', 0);
const REQUEST: DecisionRecord['request'] = {
  ...{ zoneID: 'team.zone', principal, subject, use: 'resource', resource: 'resource://api', scopes: ['read'] },
  ...{ ttlSeconds: undefined, sid: 'sid', rootSid: 'sid', notAfter: undefined },
};
const DENIED = {
  outcome: 'denial',
  error: 'access_denied',
  request: REQUEST,
  denial: { type: 'denial', reason: 'PolicyDenied', message: 'a policy says no' },
} as const;

const { jti: _jti, expiresAt: _expiresAt, ...REFUSED } = decisionOf('denied');
const RECORDS: readonly DecisionRecord[] = [
  decisionOf('permitted', { at: START, request: REQUEST }),
  { ...REFUSED, ...DENIED, at: START + 1000 },
  decisionOf('elsewhere', { at: START + 2000, zoneUID: 'other-uid', zoneID: 'other.zone' }),
  { ...REFUSED, id: 'odd', outcome: 'error', error: 'bad\u202e\u001b[2J\ncode', at: START + 3000 },
];

let folder: string;
let store: SQLiteStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caracal-audit-'));
  store = await openSQLiteStore({ path: join(folder, 'data/store.db'), clock: Date, randomBytes, checkpointMs: 1 });
  for (const decision of RECORDS) await store.commit({ decision });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const audit = (...args: readonly string[]) => run(['audit', ...args], { cwd: folder });
const onData = (...args: readonly string[]) => audit(...args, '--data', 'data');
const idsOf = (out: string) => (JSON.parse(out) as { record: DecisionRecord }[]).map(({ record }) => record.id);

async function exported(name: string, ...args: readonly string[]): Promise<{ file: string; key: string }> {
  const file = join(folder, name);
  expect(await onData('export', file, ...args)).toMatchObject({ exit: 0, out: '' });
  const key = join(folder, 'audit.pub');
  writeFileSync(key, (await onData('key')).out);
  return { file, key };
}

describe('caracal audit list', () => {
  it('is a table, newest first, in which nothing can hide', async () => {
    const { out } = await onData('list');
    expect(out)
      .toBe(`TIME                      OUTCOME  ZONE        APPLICATION  RESOURCE        SCOPES  REASON                         DECISION
2026-03-01T12:00:03.000Z  error    team.zone   -            -               -       bad\\u{202e}\\u{1b}[2J\\u{a}code  odd
2026-03-01T12:00:02.000Z  permit   other.zone  -            -               -       -                              elsewhere
2026-03-01T12:00:01.000Z  denial   team.zone   team.agent   resource://api  read    PolicyDenied                   denied
2026-03-01T12:00:00.000Z  permit   team.zone   team.agent   resource://api  read    -                              permitted
`);
  });

  const filters: Readonly<Record<string, readonly [args: readonly string[], ids: readonly string[]]>> = {
    'a zone': [['--zone', 'other.zone'], ['elsewhere']],
    'an application': [
      ['--application', 'team.agent'],
      ['denied', 'permitted'],
    ],
    'an outcome': [['--outcome', 'denial'], ['denied']],
    'a time': [
      ['--since', '2026-03-01T12:00:02Z'],
      ['odd', 'elsewhere'],
    ],
    'a number': [['--limit', '1'], ['odd']],
    'several at once': [['--zone', 'team.zone', '--outcome', 'permit'], ['permitted']],
    'what nothing matches': [['--zone', 'no.zone'], []],
  };
  for (const [name, [args, ids]] of Object.entries(filters)) {
    it(`can be narrowed to ${name}`, async () => {
      expect(idsOf((await onData('list', '--output', 'json', ...args)).out)).toEqual(ids);
    });
  }
});

describe('caracal audit show', () => {
  it('shows a decision by its id or its request’s, with its place in the log', async () => {
    const byID = await onData('show', 'denied');
    expect(byID.out).toContain('request request-denied');
    expect(byID.out).toContain('denied, PolicyDenied: a policy says no');
    expect(byID.out).toContain('record 2 of zone zone-uid by writer');
    const byRequest = await onData('show', 'request-permitted', '--output', 'json');
    expect(JSON.parse(byRequest.out)).toMatchObject({ zoneUID: 'zone-uid', position: 1 });
    expect((JSON.parse(byRequest.out) as { record: unknown }).record).toEqual(JSON.parse(JSON.stringify(RECORDS[0])));
    expect((await onData('show', 'odd')).out).not.toContain('\u001b');
  });
});

describe('caracal audit verify', () => {
  it('proves the log of a folder while it is in use, and an export of it with the public key only', async () => {
    expect((await onData('verify')).out).toMatch(/^the log holds: 4 records in 2 chains of 2 zones/);
    const { file, key } = await exported('whole.jsonl');
    const told = await audit('verify', file, '--public-key', key);
    expect([told.exit, told.out]).toEqual([
      0,
      expect.stringMatching(/^the log holds: .* signed whole at .* all zones\n$/),
    ]);
    const text = readFileSync(key, 'utf8').trim();
    expect((await audit('verify', file, '--public-key', text, '--output', 'json')).exit).toBe(0);
  });

  it('proves the export of one zone, which holds nothing of another', async () => {
    const { file, key } = await exported('zone.jsonl', '--zone', 'other.zone');
    expect(readFileSync(file, 'utf8')).not.toContain('zone-uid');
    expect((await audit('verify', file, '--public-key', key)).out).toContain('for zone other-uid');
  });

  it('A-01 names the record of an export that was changed, and exits 1', async () => {
    const { file, key } = await exported('changed.jsonl');
    writeFileSync(file, readFileSync(file, 'utf8').replace('a policy says no', 'a policy says so'));
    const told = await audit('verify', file, '--public-key', key);
    expect([told.exit, told.out]).toEqual([
      1,
      expect.stringMatching(
        /^✗ RecordChanged at line \d+, zone zone-uid, record 2: .*\n✗ ExportChanged[^]* 2 alarms\n$/,
      ),
    ]);
  });

  it('and export tell of a log that was changed in the store; what is exported of it is not signed', async () => {
    const other = join(folder, 'tampered');
    const path = join(other, 'store.db');
    const written = await openSQLiteStore({ path, clock: Date, randomBytes });
    for (const decision of RECORDS) await written.commit({ decision });
    await written.close();
    const db = new DatabaseSync(path);
    db.exec(`DROP TRIGGER decisions_are_not_changed;
      UPDATE decisions SET record = replace(record, 'permit', 'denial') WHERE id = 'permitted'`);
    db.close();
    const verified = await audit('verify', '--data', other);
    const file = join(folder, 'evidence.jsonl');
    const sent = await audit('export', file, '--data', other);
    expect([verified.exit, verified.out]).toEqual([1, expect.stringContaining('✗ RecordChanged')]);
    expect([sent.exit, sent.err]).toEqual([1, expect.stringContaining('it is not signed')]);
    expect(readFileSync(file, 'utf8')).not.toContain('"closing"');
  });
});

describe('caracal audit', () => {
  const wrong: Readonly<Record<string, readonly [args: readonly string[], exit: number, message: string]>> = {
    'a folder without a log': [['list', '--data', 'nowhere'], 1, '--data nowhere has no log to read'],
    'a folder without a key': [['key', '--data', 'nowhere'], 1, '--data nowhere has no public key of a log'],
    'an unknown decision': [['show', 'other', '--data', 'data'], 1, 'data has no decision and no request other'],
    'a limit that is no number': [['list', '--limit', 'all', '--data', 'data'], 2, '--limit "all" is no number'],
    'a time that is none': [['list', '--since', 'today', '--data', 'data'], 2, '--since "today" is no time'],
    'an export without a key': [['verify', 'x.jsonl'], 2, '--public-key is required with an export'],
    'a key that is none': [['verify', 'x.jsonl', '--public-key', 'x'], 2, '"x" is no public key of a log'],
    'a zone without records': [
      ['export', 'none.jsonl', '--zone', 'no.zone', '--data', 'data'],
      1,
      '--zone no.zone has no record in the log',
    ],
  };
  for (const [name, [args, exit, message]] of Object.entries(wrong)) {
    it(`refuses ${name}`, async () => {
      const told = await audit(...args);
      expect([told.exit, told.out, told.err]).toEqual([exit, '', expect.stringContaining(message)]);
    });
  }

  it('never writes over an earlier export', async () => {
    const { file } = await exported('kept.jsonl');
    const before = readFileSync(file);
    expect((await onData('export', file)).exit).toBe(1);
    expect(readFileSync(file)).toEqual(before);
    expect(existsSync(join(folder, 'none.jsonl'))).toBe(false);
  });
});
