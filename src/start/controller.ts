/** The controller on a cluster, with its health server, run until it is asked to end. */
import { readFile } from 'node:fs/promises';
import { untilStopped } from '../cli/runtime.ts';
import type { Runtime } from '../cli/runtime.ts';
import type { ControllerStart } from '../cli/starters.ts';
import { startHealth } from '../controller/health.ts';
import { createKubernetesController, createSTSObserver } from '../controller/kubernetes.ts';
import { createTokenFile } from '../kube/connection.ts';
import { createPolicyChecker } from '../policy/checker.ts';
import { connectCluster } from './cluster.ts';
import { createClosing } from './closing.ts';

export async function startController(start: ControllerStart, runtime: Runtime): Promise<void> {
  const { clock, randomBytes } = runtime;
  const { issuer, namespace, host } = start;
  const closing = createClosing();
  try {
    const { client, opa, log } = await connectCluster(start, 'controller', runtime);
    closing.add(() => client.close());
    const ca = start.stsCA === undefined ? {} : { ca: await readFile(start.stsCA, 'utf8') };
    const observer = createSTSObserver(
      { urls: start.sts, service: start.stsService, namespace, ...ca },
      { client, clock, randomBytes, authorization: createTokenFile(start.stsTokenFile, clock) },
    );
    const checker = closing.closes(createPolicyChecker(opa, clock));
    const controller = closing.closes(
      createKubernetesController({ issuer, namespace, host }, { client, clock, randomBytes, checker, observer, log }),
    );
    const metrics = {
      metrics: () => controller.metrics.registry.metrics(),
      contentType: controller.metrics.registry.contentType,
    };
    closing.closes(await startHealth(start.listen, { ready: () => controller.ready(), metrics }));
    await Promise.race([controller.start(), untilStopped(runtime)]);
    await untilStopped(runtime);
  } finally {
    await closing.close();
  }
}
