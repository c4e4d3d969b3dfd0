/** A folder that the controller reconciles, as `caracal up` does, with a stand-in for the STS: for tests of behaviour. */
import { join } from 'node:path';
import type { BaseStatus } from '../../src/api/meta.ts';
import { createController } from '../../src/controller/controller.ts';
import { createPolicyChecker } from '../../src/policy/checker.ts';
import { createOPA } from '../../src/policy/opa.ts';
import type { World } from '../../src/compiler/world.ts';
import type { FolderSource } from '../../src/up/source.ts';
import { OPA_PATH } from '../support/opa.ts';
import { createTestReplica, type TestReplica } from '../support/replica.ts';
import { createFolder, untilWorld, type Folder } from './folder.ts';

export interface Reconciled extends Folder {
  readonly source: FolderSource;
  readonly replica: TestReplica;
  /** Resolves with the world in which the object's condition, of its present generation, reads so: `True`, `False <reason>` or `absent`. */
  awaitCondition(kind: string, name: string, type: string, wanted: string): Promise<World>;
}

export async function reconcile(files: Readonly<Record<string, string>>): Promise<Reconciled> {
  const folder = await createFolder(files);
  const source = await folder.open();
  const silent = () => undefined;
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const checker = createPolicyChecker(createOPA({ path: OPA_PATH, cacheDir: join(folder.data, 'policy') }), clock);
  const replica = createTestReplica(source);
  const controller = createController(
    { issuer: 'http://127.0.0.1:7400' },
    {
      source,
      publisher: source.publisher,
      observer: replica,
      checker,
      keys: source,
      clock,
      log: { info: silent, warn: silent },
    },
  );
  await replica.start();
  await controller.start();
  return {
    ...folder,
    source,
    replica,
    awaitCondition: (kind, name, type, wanted) =>
      untilWorld(source, (world) => readCondition(world, kind, name, type) === wanted),
    async close() {
      await controller.close();
      await checker.close();
      await folder.close();
    },
  };
}

export interface Shown {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly status?: BaseStatus;
}

export function find(world: World, kind: string, name: string): Shown | undefined {
  const objects: readonly Shown[] = [
    ...world.zones,
    ...world.applications,
    ...world.resources,
    ...world.grants,
    ...world.policies,
    ...world.policySets,
    ...world.policySetRevisions,
    ...world.revocations,
  ];
  return objects.find((object) => object.kind === kind && object.metadata.name === name);
}

/** `gone`: no such object. `unknown`: no verdict of this generation yet. */
export function readCondition(world: World, kind: string, name: string, type: string): string {
  const object = find(world, kind, name);
  if (!object) return 'gone';
  const ready = object.status?.conditions?.[0];
  if (!ready || ready.observedGeneration !== object.metadata.generation) return 'unknown';
  const condition = object.status?.conditions?.find((one) => one.type === type);
  if (!condition) return 'absent';
  return condition.status === 'True' ? 'True' : `${condition.status} ${condition.reason}`;
}
