/** What PostgreSQL does as every store does, and for several replicas at once. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { EngineStore } from '../../src/store/engineStore.ts';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { localhostCertificate } from '../tokens/localhostCertificate.ts';
import { describeConformance } from './conformance/suite.ts';
import { postgresPlace, verifyLog } from './postgresPlace.ts';
import { decisionOf, sessionOf, singleUseOf } from './records.ts';
import { EVERYTHING, tempFolder } from './support.ts';

describeConformance({ name: 'PostgreSQL', place: () => postgresPlace() });

const RACES = 500;

async function twoReplicas() {
  const place = await postgresPlace();
  return { place, replicas: await Promise.all([place.open(), place.open()]) };
}

/** One after the other, under what it knows of the state; tells the sequences of its own writes. */
async function writeUntil(store: Store, name: string, last: number): Promise<number[]> {
  const own: number[] = [];
  let known = 0;
  for (let attempt = 0; known < last; attempt += 1) {
    const runtime = { expected: known, puts: [sessionOf(`${name}-${attempt}`)] };
    const result = await orUnavailable(store.commit({ decision: decisionOf(`${name}-${attempt}`), runtime }));
    if (!result) continue;
    if (result.ok) own.push((known = result.entry!.sequence));
    else known = (await store.runtimeEntries('zone-uid', known, 1000)).at(-1)!.sequence;
  }
  return own;
}

/** Who waits for the zone's lock for too long, on a busy machine, is told so and tries again. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}

describe('two replicas on one database', () => {
  it(`X-16 never both win one of ${RACES} single-use ids that they race for`, async () => {
    const { replicas } = await twoReplicas();
    const race = (store: EngineStore, name: string) =>
      Promise.all(
        Array.from({ length: RACES }, async (_, index) => {
          if (index % 50 === 0) await turn();
          const decision = decisionOf(`${name}-${index}`);
          return store.commit({ decision, consume: [singleUseOf(`key-${index}`, { class: 'mandate' })] });
        }),
      );
    const [first, second] = await Promise.all([race(replicas[0]!, 'a'), race(replicas[1]!, 'b')]);
    expect(first!.map(({ ok }, index) => Number(ok) + Number(second![index]!.ok))).toEqual(
      Array.from({ length: RACES }, () => 1),
    );
    expect(await replicas[0]!.decisions('zone-uid', 2 * RACES)).toHaveLength(RACES);
  });

  it(`write ${RACES} runtime entries one after the other, and both learn of all of them in order`, async () => {
    const { place, replicas } = await twoReplicas();
    const owns = await Promise.all(replicas.map((store, index) => writeUntil(store, `r${index}`, RACES)));
    const read = (store: Store) => store.runtimeEntries('zone-uid', 0, 2 * RACES);
    const [first, second] = await Promise.all(replicas.map(read));
    const sequences = first!.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
    expect(sequences.length).toBeGreaterThanOrEqual(RACES);
    expect(second).toEqual(first);
    const answered = owns.flat();
    expect(new Set(answered).size).toBe(answered.length);
    expect(answered.filter((sequence) => !sequences.includes(sequence))).toEqual([]);
    expect((await replicas[0]!.runtime('zone-uid')).objects).toHaveLength(sequences.length);
    await Promise.all(replicas.map((store) => store.close()));
    expect(await verifyLog(place)).toMatchObject({ alarms: [], chains: 2, records: sequences.length });
  });

  it('agree on epochs, and learn of each other’s with every commit', async () => {
    const { replicas } = await twoReplicas();
    const raised = await Promise.all(replicas.map((store) => store.raiseEpoch('zone-uid', 'a', EVERYTHING)));
    expect(raised[0]).toEqual(raised[1]);
    const { epoch } = await replicas[0]!.raiseEpoch('zone-uid', 'b', EVERYTHING);
    expect(await replicas[1]!.commit({ decision: decisionOf('one') })).toEqual({ ok: true, zoneEpoch: epoch });
    expect(await replicas[1]!.heads()).toEqual(new Map([['zone-uid', { epoch, sequence: 0 }]]));
  });

  it('are told by a hint that the other wrote', async () => {
    const { replicas } = await twoReplicas();
    const heard = vi.fn<() => void>();
    replicas[1]!.onHint(heard);
    let rounds = 0;
    await vi.waitFor(async () => {
      await replicas[0]!.raiseEpoch('zone-uid', `digest-${(rounds += 1)}`, EVERYTHING);
      expect(heard).toHaveBeenCalled();
    });
  });

  it('each write a log chain of their own, also where one continues under another life', async () => {
    const { place, replicas } = await twoReplicas();
    const third = await place.open();
    for (const [index, store] of [...replicas, third].entries())
      for (const zoneUID of ['zone-a', 'zone-b'])
        await store.commit({ decision: decisionOf(`${zoneUID}-${index}`, { zoneUID }) });
    await Promise.all([...replicas, third].map((store) => store.close()));
    expect(await verifyLog(place)).toMatchObject({ alarms: [], zones: 2, chains: 6, records: 6, afterCheckpoint: 0 });
  });

  it('X-17 spend ids that are single use across zones only once, without waiting for each other in a circle', async () => {
    const { replicas } = await twoReplicas();
    const commits = replicas.flatMap((store, replica) =>
      Array.from({ length: 100 }, (_, index) =>
        store.commit({
          decision: decisionOf(`${replica}-${index}`, { zoneUID: `zone-${(index + replica) % 5}` }),
          consume: [singleUseOf(`key-${index % 50}`, { class: 'private_key_jwt', zoneUID: '' })],
        }),
      ),
    );
    expect((await Promise.all(commits)).filter(({ ok }) => ok)).toHaveLength(50);
  });
});

describe('a write that PostgreSQL cannot take', () => {
  it('is refused alone, and those that came with it are written', async () => {
    const store = await (await postgresPlace()).open();
    const ids = ['a', 'nul\0', 'b'];
    const results = await Promise.allSettled(ids.map((jti) => store.commit({ decision: decisionOf(jti, { jti }) })));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((results[1] as PromiseRejectedResult).reason.message).toContain('the store refused a write');
    expect(await store.decisions('zone-uid', 10)).toHaveLength(2);
  });

  it('is no single-use id: one with a NUL is spent like any other, and is none without', async () => {
    const store = await (await postgresPlace()).open();
    const spend = async (id: string, key: string) =>
      (await store.commit({ decision: decisionOf(id), consume: [singleUseOf(key)] })).ok;
    const keys = ['a\0b', 'a\\0b', 'a\\\\0b', 'a\0b'];
    const spent: boolean[] = [];
    for (const [index, key] of keys.entries()) spent.push(await spend(`d${index}`, key));
    expect(spent).toEqual([true, true, true, false]);
  });
});

describe('the schema in PostgreSQL', () => {
  it('is made once by replicas that start together', async () => {
    const place = await postgresPlace();
    const stores = await Promise.all([1, 2, 3].map(() => place.open()));
    expect(new Set(stores.map(({ incarnation }) => incarnation)).size).toBe(1);
  });

  it('of a newer version is refused, by a message that says what to run, and is not touched', async () => {
    const place = await postgresPlace();
    await (await place.open()).close();
    await place.tamper('UPDATE schema_version SET version = 99');
    await expect(place.open()).rejects.toThrow(
      /has schema 99 and this version of Caracal knows \d+: run the version that wrote it/,
    );
    expect(await place.query('SELECT version FROM schema_version')).toEqual([{ version: 99 }]);
  });

  it('leaves what others have in the database alone', async () => {
    const place = await postgresPlace();
    await place.query('CREATE TABLE public.decisions (theirs text)');
    const store = await place.open();
    await store.commit({ decision: decisionOf('one') });
    expect(await place.query('SELECT * FROM public.decisions')).toEqual([]);
  });
});

describe('the keys of a store in PostgreSQL', () => {
  it('are one for all replicas: a replica with another is refused', async () => {
    const place = await postgresPlace();
    await place.open();
    const keys = tempFolder();
    await expect(place.open({ keys })).rejects.toThrow(`${join(keys, 'store.seal.key')} is gone: restore it`);
    copyFileSync(join(place.keys, 'store.seal.key'), join(keys, 'store.seal.key'));
    const second = await place.open({ keys });
    expect((await second.commit({ decision: decisionOf('one') })).ok).toBe(true);
    const other = await postgresPlace();
    await (await other.open()).close();
    await expect(place.open({ keys: other.keys })).rejects.toThrow('is not the key that the store was sealed with');
  });

  it('and the password are in no message', async () => {
    const place = await postgresPlace();
    const { password } = place.server;
    const message = await place.open({ password: `not-${password}` }).catch(String);
    expect(message).toContain('password authentication failed');
    expect(message).not.toContain(password);
    expect(readFileSync(join(await keysOf(place), 'store.seal.key'), 'utf8')).not.toBe('');
  });
});

async function keysOf(place: Awaited<ReturnType<typeof postgresPlace>>): Promise<string> {
  await (await place.open()).close();
  return place.keys;
}

describe('the clock of the database', () => {
  it('is compared with ours whenever heads are read', async () => {
    const store = await (await postgresPlace()).open({ clock: { now: () => Date.now() + 5000 } });
    expect(store.clockSkewMs()).toBe(0);
    await store.heads();
    expect(Math.abs(store.clockSkewMs() + 5000)).toBeLessThan(500);
  });
});

describe('the address of a database', () => {
  const remote = { host: 'db.test', port: 5432, user: 'caracal', database: 'caracal', tls: true, caFile: undefined };
  const ACCEPTED = {
    'postgres://caracal@db.test/caracal': remote,
    'postgresql://caracal@db.test:6432/caracal?sslmode=verify-full&sslrootcert=/ca.pem': {
      ...{ ...remote, port: 6432, caFile: '/ca.pem' },
    },
    'postgres://caracal@127.0.0.1/caracal': { ...remote, host: '127.0.0.1', tls: false },
    'postgres://caracal@[::1]/caracal': { ...remote, host: '::1', tls: false },
    'postgres://caracal@localhost/caracal?sslmode=verify-full': { ...remote, host: 'localhost' },
    'postgres://caracal@localhost/caracal?host=/run/postgresql': { ...remote, host: '/run/postgresql', tls: false },
  };
  for (const [text, address] of Object.entries(ACCEPTED))
    it(`is read: ${text}`, () => expect(parsePostgresAddress(text)).toEqual(address));

  const REFUSED = {
    'mysql://caracal@db.test/caracal': 'is no URL of the form',
    'db.test': 'is no URL of the form',
    'postgres://db.test/caracal': 'names no user, host or database',
    'postgres://caracal@db.test': 'names no user, host or database',
    'postgres://caracal:hunter2@db.test/caracal': 'holds a password',
    'postgres://caracal@db.test/caracal?sslmode=disable': 'disables TLS to another machine',
    'postgres://caracal@db.test/caracal?sslmode=require': 'has sslmode require: verify-full',
    'postgres://caracal@db.test/caracal?options=-c': 'knows no parameter options',
  };
  for (const [text, message] of Object.entries(REFUSED))
    it(`is refused, and not repeated: ${message}`, () => {
      expect(() => parsePostgresAddress(text)).toThrow(message);
      expect(() => parsePostgresAddress(text)).not.toThrow('hunter2');
    });
});

describe('a connection with TLS', () => {
  async function openAt(host: string, parameters: string) {
    const place = await postgresPlace();
    const url = `postgres://caracal@${host}:${place.server.port}/${place.database}?sslmode=verify-full${parameters}`;
    return { place, store: await place.open({ address: parsePostgresAddress(url) }) };
  }
  const trusting = () => {
    const file = join(tempFolder(), 'ca.crt');
    writeFileSync(file, localhostCertificate);
    return `&sslrootcert=${file}`;
  };

  it('is one to a server whose name and signer are verified', async () => {
    const { place, store } = await openAt('localhost', trusting());
    expect((await store.commit({ decision: decisionOf('one') })).ok).toBe(true);
    const rows = await place.query(
      `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
       WHERE datname = '${place.database}' AND application_name = 'caracal'`,
    );
    expect(rows).toEqual([{ ssl: true }]);
  });

  it('is none to a server of another name, or one whose signer nobody trusts', async () => {
    await expect(openAt('127.0.0.1', trusting())).rejects.toThrow("does not match certificate's altnames");
    await expect(openAt('localhost', '')).rejects.toThrow('self-signed certificate');
  });
});

describe('a role of the database', () => {
  it('needs nothing beyond a database of its own', async () => {
    const { server, keys } = await postgresPlace();
    const password = 'a-password-of-its-own';
    await server.query('postgres', `CREATE ROLE tenant LOGIN PASSWORD '${password}'`);
    await server.query('postgres', 'CREATE DATABASE tenant OWNER tenant');
    const address = parsePostgresAddress(`postgres://tenant@127.0.0.1:${server.port}/tenant`);
    const place = await postgresPlace(server, { database: 'tenant', keys });
    const store = await place.open({ address, password });
    await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    expect(await place.open({ address, password })).toMatchObject({ incarnation: store.incarnation });
  });
});

describe('a store that is closed', () => {
  it('refuses everything after', async () => {
    const store = await (await postgresPlace()).open();
    await store.close();
    await expect(store.heads()).rejects.toBeInstanceOf(StoreUnavailable);
  });
});
