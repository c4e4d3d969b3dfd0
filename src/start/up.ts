/** Everything in one process over a folder of manifests: source, controller, STS and the edge gateway, on loopback. */
import { join } from 'node:path';
import type { Runtime } from '../cli/runtime.ts';
import type { RunningUp, UpStart } from '../cli/starters.ts';
import { STORE_FILE } from '../cli/storeFile.ts';
import { createController } from '../controller/controller.ts';
import { createPolicyChecker } from '../policy/checker.ts';
import { explainPolicy } from '../policy/explain.ts';
import { createOPA } from '../policy/opa.ts';
import { createPolicyEngine } from '../policy/workers.ts';
import { openSQLiteStore } from '../store/sqlite.ts';
import { createSTS } from '../sts/sts.ts';
import type { STS } from '../sts/sts.ts';
import { lockDataFolder, prepareDataFolder } from '../up/dataFolder.ts';
import { openLocalAccess, writeLocalServer } from '../up/localAccess.ts';
import { createFolderSource } from '../up/source.ts';
import type { FolderSource } from '../up/source.ts';
import { createWorkloadDirectory, openWorkloadIssuer } from '../up/workloads.ts';
import { createClosing } from './closing.ts';
import type { Closing } from './closing.ts';
import { servedZones, startEdge } from './edge.ts';
import { createLog } from './log.ts';
import type { RoleLog } from './log.ts';
import { untilSettled } from './settled.ts';

const HOST = '127.0.0.1';

export async function startUp(start: UpStart, runtime: Runtime): Promise<RunningUp> {
  const closing = createClosing();
  try {
    await prepareDataFolder(start.data);
    const lock = await lockDataFolder(start.data, runtime.pid);
    closing.add(() => lock.release());
    return await assemble(start, runtime, closing);
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function assemble(start: UpStart, runtime: Runtime, closing: Closing): Promise<RunningUp> {
  const { clock, randomBytes } = runtime;
  const log = createLog('up', start.logLevel, runtime);
  const issuer = `http://${HOST}:${start.port}`;
  const workloadIssuer = await openWorkloadIssuer(start.data, randomBytes);
  const source = closing.closes(openSource(start, runtime, log));
  const sts = await openSTS({ start, runtime, closing, log, issuer, source });
  await source.start();
  const checker = closing.closes(createPolicyChecker(createOPA({ path: start.opa, cacheDir: start.opaCache }), clock));
  const controller = closing.closes(
    createController(
      { issuer },
      {
        source,
        publisher: source.publisher,
        observer: { observe: async () => [sts.report()] },
        checker,
        keys: source,
        clock,
        log,
      },
    ),
  );
  await sts.start();
  await controller.start();
  await untilSettled(source, runtime.stop);
  const edge = closing.closes(
    await startEdge(
      {
        ...{ issuer, host: HOST, port: start.port + 1, allowUpstreamRanges: start.allowUpstreamRanges },
        spool: join(start.data, 'spool'),
      },
      { source, workloadIssuer, clock, randomBytes, log },
    ),
  );
  const zones = servedZones(source).map(({ id }) => id);
  await writeLocalServer(start.data, issuer);
  return { ready: { issuer, gateway: edge.url, zones }, source, close: () => closing.close() };
}

function openSource(start: UpStart, { clock, randomBytes }: Runtime, log: RoleLog): FolderSource {
  return createFolderSource(
    { paths: start.paths, data: start.data, systemNamespace: start.namespace },
    {
      clock,
      randomBytes,
      onError: (error) => log.error({ error: error.message }, 'the folder cannot be followed; that is tried again'),
    },
  );
}

interface STSParts {
  readonly start: UpStart;
  readonly runtime: Runtime;
  readonly closing: Closing;
  readonly log: RoleLog;
  readonly issuer: string;
  readonly source: FolderSource;
}

async function openSTS({ start, runtime, closing, log, issuer, source }: STSParts): Promise<STS> {
  const { clock, randomBytes } = runtime;
  const opa = createOPA({ path: start.opa, cacheDir: start.opaCache });
  const store = closing.closes(await openSQLiteStore({ path: join(start.data, STORE_FILE), clock, randomBytes }));
  const policies = closing.closes(createPolicyEngine({ opa, clock }));
  const workloads = createWorkloadDirectory(await openWorkloadIssuer(start.data, randomBytes));
  const { localTokenDigest } = await openLocalAccess(start.data, randomBytes);
  return closing.closes(
    createSTS(
      { issuer, listen: { host: HOST, port: start.port }, allowJWKSRanges: start.allowJWKSRanges, localTokenDigest },
      {
        ...{ source, signingKeys: source, workloads, policies, store, clock, randomBytes, log },
        explain: (modules, input) => explainPolicy(opa, modules, input),
      },
    ),
  );
}
