/** The front on a cluster, run until it is asked to end. */
import { readFile } from 'node:fs/promises';
import { untilStopped } from '../cli/runtime.ts';
import type { Runtime } from '../cli/runtime.ts';
import type { FrontStart } from '../cli/starters.ts';
import { createFront } from '../front/front.ts';
import { createTokenFile } from '../kube/connection.ts';
import { createReplicaOrigins } from '../kube/replicas.ts';
import { connectAPIServer } from './cluster.ts';
import { createClosing } from './closing.ts';

export async function startFront(start: FrontStart, runtime: Runtime): Promise<void> {
  const { listen, tls, namespace, sts: urls, stsService: service } = start;
  const closing = createClosing();
  try {
    const { client, reflector, log } = await connectAPIServer(start, 'front', runtime);
    closing.add(() => client.close());
    const origins = createReplicaOrigins({ urls, namespace, service, port: 'https' }, reflector);
    const ca = start.stsCA === undefined ? {} : { ca: await readFile(start.stsCA, 'utf8') };
    const stsTLS = { ...ca, ...(urls.length === 0 && { serverName: `${service}.${namespace}.svc` }) };
    const authorization = createTokenFile(start.stsTokenFile, runtime.clock);
    const front = closing.closes(
      createFront({ listen, tls, stsTLS }, { client, origins, authorization, clock: runtime.clock, log }),
    );
    await Promise.race([front.start(), untilStopped(runtime)]);
    await untilStopped(runtime);
  } finally {
    await closing.close();
  }
}
