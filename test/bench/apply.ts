/** Row 9: from a written object to an STS that answers differently, on a real kube-apiserver, among 100 and 10,000 objects. */
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { print, quantile, say } from './figure.ts';
import { FORM, exchangeForm } from './world.ts';

const CHANGES = 40;
const SIZES = [100, 10_000];

export async function benchApply(): Promise<void> {
  const cluster = await startBenchCluster();
  try {
    for (const size of SIZES) {
      say(`row 9: growing to ${size} Grants`);
      await cluster.growTo(size);
      const grants = await measure(CHANGES, (index) => changeGrant(cluster, index % 2 === 1));
      printRow('CR applied to STS answers differently', size, grants);
      const policies = await measure(CHANGES / 2, (index) => changePolicy(cluster, index % 2 === 1));
      printRow('revision written to STS answers differently', size, policies);
    }
  } finally {
    await cluster.close();
  }
}

function printRow(figure: string, objects: number, samples: readonly number[]): void {
  const [p50, p99] = [quantile(samples, 0.5), quantile(samples, 0.99)];
  const met = p50 <= 50 && p99 <= 200;
  print({ row: 9, figure, objects, unit: 'ms', p50, p99, samples: samples.length, must: 'p50 <= 50, p99 <= 200', met });
}

async function measure(count: number, change: (index: number) => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) samples.push(await change(index));
  return samples;
}

/** Gives or takes the scope; the clock starts when the API server has answered the write. */
async function changeGrant(cluster: BenchCluster, give: boolean): Promise<number> {
  await cluster.patchGrant(give ? ['orders:read'] : ['orders:list']);
  return untilStatus(cluster, give ? 200 : 403);
}

/** The clock starts when the API server shows the revision. */
async function changePolicy(cluster: BenchCluster, allow: boolean): Promise<number> {
  await cluster.patchPolicyAndAwaitRevision(allow);
  return untilStatus(cluster, allow ? 200 : 403);
}

async function untilStatus(cluster: BenchCluster, wanted: number): Promise<number> {
  const body = exchangeForm(await cluster.assertion());
  const started = performance.now();
  while (performance.now() - started < 10_000) {
    const response = await fetch(`${cluster.issuer}/oauth/2/token`, { method: 'POST', headers: FORM, body });
    await response.body?.cancel();
    if (response.status === wanted) return performance.now() - started;
  }
  throw new Error(`the STS did not answer ${wanted} within 10 s`);
}
