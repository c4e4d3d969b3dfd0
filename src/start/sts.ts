/** The STS on a cluster: its watches, its store and its policy engine, wired and run until it is asked to end. */
import { untilStopped } from '../cli/runtime.ts';
import type { Runtime } from '../cli/runtime.ts';
import type { STSStart } from '../cli/starters.ts';
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { createKubeSource } from '../kube/source.ts';
import { createKubeWorkloadDirectory } from '../kube/workloads.ts';
import { explainPolicy } from '../policy/explain.ts';
import { createPolicyEngine } from '../policy/workers.ts';
import { createSTS } from '../sts/sts.ts';
import { connectCluster } from './cluster.ts';
import { createClosing } from './closing.ts';
import { openStore } from './store.ts';

export async function startSTS(start: STSStart, runtime: Runtime): Promise<void> {
  const { clock, randomBytes } = runtime;
  const closing = createClosing();
  try {
    const { client, reflector, opa, log } = await connectCluster(start, 'sts', runtime);
    closing.add(() => client.close());
    const store = closing.closes(await openStore(start, runtime));
    const source = closing.closes(createKubeSource({ namespace: start.namespace }, reflector));
    const workloads = closing.closes(createKubeWorkloadDirectory({}, reflector));
    const policies = closing.closes(createPolicyEngine({ opa, clock }));
    const { issuer, listen, tls, controller, front, allowJWKSRanges } = start;
    const config = {
      issuer,
      listen,
      allowJWKSRanges,
      ...(tls && { tls }),
      ...(controller && { controller }),
      ...(front && { front }),
    };
    const ports = {
      ...{ source, signingKeys: source, workloads, policies, store, clock, randomBytes, log },
      explain: (modules: readonly PolicyModule[], input: PolicyInput) => explainPolicy(opa, modules, input),
    };
    const sts = closing.closes(createSTS(config, ports));
    const served = workloads.start().then(() => sts.start());
    await Promise.race([served, untilStopped(runtime)]);
    await untilStopped(runtime);
  } finally {
    await closing.close();
  }
}
