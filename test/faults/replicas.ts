/** Two replicas of an STS as processes over one real PostgreSQL. */
import { spawn } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { isOK } from '../../scripts/demo/embedded.ts';
import { watch, type RunningProcess } from '../../scripts/demo/processes.ts';
import { postgresPlace, verifyLog, type PostgresPlace } from '../store/postgresPlace.ts';
import { freePorts } from '../support/ports.ts';
import { until } from '../support/processes.ts';
import { clientOf, type Client } from './client.ts';
import type { Ledger } from './load.ts';
import { compare, DECISIONS, type Held, type Row } from './reconcile.ts';
import { makePlace, type Place } from './world.ts';

const PROCESS = fileURLToPath(new URL('./replicaProcess.ts', import.meta.url));

export interface Replica {
  readonly url: string;
  readonly client: Client;
  pid(): number;
  running(): RunningProcess;
  /** Resolves when it is ready. */
  start(): Promise<void>;
  ready(): Promise<boolean>;
}

export interface Replicas {
  readonly place: Place;
  readonly database: PostgresPlace;
  readonly all: readonly [Replica, Replica];
  /** The rows of the database against what was answered. */
  held(ledger: Ledger): Promise<Held>;
  /** Alarms of the log. */
  alarms(): Promise<readonly unknown[]>;
}

/** Started once as `caracal up`, which settles keys and policy; the replicas serve copies of that. Ended with the test. */
export async function startReplicas(): Promise<Replicas> {
  const place = await makePlace();
  await (await place.start()).stop();
  const database = await postgresPlace();
  const ports = await freePorts(2);
  const make = async (port: number, index: number): Promise<Replica> => {
    const data = join(place.data, '..', `replica-${index}`);
    await mkdir(data);
    await cp(place.data, data, { recursive: true });
    const url = `http://127.0.0.1:${port}`;
    const args = [
      place.manifests,
      data,
      database.server.url(database.database),
      database.keys,
      place.issuer,
      `${port}`,
    ];
    let running: RunningProcess | undefined;
    return {
      url,
      client: clientOf({ issuer: url, idp: place.idp }),
      pid: () => running!.pid,
      running: () => running!,
      ready: () => isOK(`${url}/ready`),
      async start() {
        const env = { ...process.env, PGPASSWORD: database.server.password };
        const command = ['--disable-warning=ExperimentalWarning', PROCESS, ...args];
        const child = watch(spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] }), 'a replica');
        running = child;
        onTestFinished(() => child.stop());
        await child.line((line) => line === 'started');
        await until(
          () => isOK(`${url}/ready`),
          () => 'a replica is not ready',
        );
      },
    };
  };
  const all = [await make(ports[0]!, 0), await make(ports[1]!, 1)] as const;
  for (const replica of all) await replica.start();
  return {
    ...{ place, database, all },
    async held(ledger) {
      const decisions = await database.query(DECISIONS.postgres);
      const sessions = await database.query("SELECT record FROM runtime_objects WHERE kind = 'session'");
      return compare(
        ledger,
        decisions as unknown as readonly Row[],
        sessions.map(({ record }) => String(record)),
      );
    },
    async alarms() {
      for (const replica of all) await replica.running().stop();
      await (await database.open()).close();
      return (await verifyLog(database)).alarms;
    },
  };
}
