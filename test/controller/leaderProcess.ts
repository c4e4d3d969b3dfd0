/** A controller as a process of its own, for a test that kills it: `node leaderProcess.ts '{"kubeconfig":…,"cacheDir":…}'`. */
import { connectKubeconfig } from '../../src/kube/connection.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { createKubeSource } from '../../src/kube/source.ts';
import { createKubernetesController } from '../../src/controller/kubernetes.ts';
import { bytes, clock } from '../support/kubeClients.ts';
import { createTestReplica } from '../support/replica.ts';
import { ISSUER, openChecker, SYSTEM } from './harness.ts';

const { kubeconfig, cacheDir } = JSON.parse(process.argv[2] ?? '{}') as { kubeconfig: string; cacheDir: string };
const client = createKubeClient(await connectKubeconfig(kubeconfig, clock));
const observer = createTestReplica(createKubeSource({ namespace: SYSTEM }, { client, clock, random: () => 0.5 }));
const say = (fields: object, message: string) => console.log(`${message} ${JSON.stringify(fields)}`);
const controller = createKubernetesController(
  {
    issuer: ISSUER,
    namespace: SYSTEM,
    host: 'process',
    lease: { durationMs: 3000, validMs: 2000, retryMs: 200 },
  },
  { client, clock, randomBytes: bytes, checker: openChecker(cacheDir), observer, log: { info: say, warn: say } },
);
await controller.start();
