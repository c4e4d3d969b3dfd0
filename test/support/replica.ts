/** A stand-in for an STS replica: compiles the same source and reports what it would serve; it can be held back. */
import { createCompiler } from '../../src/compiler/compile.ts';
import type { WorldSource } from '../../src/compiler/world.ts';
import type { Snapshot } from '../../src/authority/snapshot.ts';
import type { ReplicaReport } from '../../src/controller/ports.ts';
import type { ReplicaWatch } from '../../src/kube/replicas.ts';
import type { PolicyResults } from '../../src/policy/results.ts';

export interface TestReplica extends ReplicaWatch {
  /** Whether it compiles what it sees (true), or stays behind. */
  follow(isFollowing: boolean): void;
  /** Whether it is among the ready ones. */
  setReady(isReady: boolean): void;
  setGateways(counts: { readonly connected: number; readonly current: number }): void;
  snapshot(): Snapshot;
}

const NO_RESULTS: PolicyResults = { policy: () => undefined, policySet: () => undefined };

export function createTestReplica(source: WorldSource): TestReplica {
  const compiler = createCompiler();
  let isFollowing = true;
  let isReady = true;
  let gateways = { connected: 0, current: 0 };
  let snapshot: Snapshot = { zones: new Map() };
  let versions: ReplicaReport['versions'] = {};
  const take = (): void => {
    if (!isFollowing) return;
    snapshot = compiler.compile(source.world(), Date.now(), NO_RESULTS).snapshot;
    versions = source.versions();
  };
  source.onChange(take);
  return {
    async start() {
      await source.start();
      take();
    },
    close: () => source.close(),
    follow(value) {
      isFollowing = value;
      take();
    },
    setReady: (value) => void (isReady = value),
    setGateways: (counts) => void (gateways = counts),
    snapshot: () => snapshot,
    observe: async () => (isReady ? [toReport(snapshot, versions, gateways)] : []),
  };
}

function toReport(
  snapshot: Snapshot,
  versions: ReplicaReport['versions'],
  gateways: { readonly connected: number; readonly current: number },
): ReplicaReport {
  const zones = [...snapshot.zones.values()].map(({ id, keys, resources }) => {
    const counts = Object.fromEntries([...resources.keys()].map((identifier) => [identifier, gateways]));
    return [id, { kids: keys.map(({ kid }) => kid), gateways, resources: counts }] as const;
  });
  return { replica: 'test', versions, zones: Object.fromEntries(zones) };
}
