/** Publish: revisions and signing keys that the world lacks, and which statuses wait because such a write is under way. */
import type { CompileResult } from '../compiler/compile.ts';
import type { RevisionPlan } from '../compiler/revisions.ts';
import { objectKey, type Verdict } from '../compiler/verdict.ts';
import { parseSpan } from '../compiler/instants.ts';
import type { Revocation } from '../api/revocation.ts';
import type { World } from '../compiler/world.ts';
import type { SigningKeySource } from '../sts/ports.ts';
import { orphanedKeySets, planKeys, type KeyPlan } from './keyPlans.ts';
import { isServedByAll, type Observed } from './observed.ts';
import type { Outbox } from './outbox.ts';
import type { Publisher } from './ports.ts';

export interface PublishPorts {
  readonly publisher: Publisher;
  readonly keys: SigningKeySource;
  readonly outbox: Outbox;
  readonly orphanedKeysMs: number;
  monotonic(): number;
  onRevision(): void;
  onRevocation(): void;
  onKeys(zoneID: string, kids: readonly string[]): void;
}

export interface Publishing {
  revisions(plan: RevisionPlan): void;
  /** Returns when to plan keys again (Unix milliseconds). */
  keys(world: World, wall: number, observed: Observed): number | undefined;
  /** Deletes Revocations whose ttlAfterComplete is over; returns when the next one is (Unix milliseconds). */
  revocations(world: World, wall: number): number | undefined;
  /** Forgets what another leader may have changed meanwhile. */
  clear(): void;
}

export function createPublishing(ports: PublishPorts): Publishing {
  const { publisher, outbox } = ports;
  const orphans = new Map<string, number>();

  const writeKeys = (plan: KeyPlan): void =>
    outbox.send(keysKey(plan.zone.uid), plan.basis, async () => {
      await publisher.writeKeySet(plan.zone, plan.keys);
      ports.onKeys(
        plan.zone.id,
        plan.keys.map(({ kid }) => kid),
      );
    });

  /** A Secret may be seen before its Zone, so that only a lasting absence counts. */
  const planOrphans = (world: World): readonly KeyPlan[] => {
    const now = ports.monotonic();
    const uids = orphanedKeySets(world);
    for (const uid of orphans.keys()) if (!uids.includes(uid)) orphans.delete(uid);
    for (const uid of uids) if (!orphans.has(uid)) orphans.set(uid, now);
    const due = uids.filter((uid) => now - (orphans.get(uid) ?? now) >= ports.orphanedKeysMs);
    return due.map((uid) => ({ zone: { uid, id: '' }, basis: 'gone', keys: [] }));
  };

  return {
    revisions({ create, remove }) {
      for (const draft of create) {
        const { namespace, name, ownerReferences } = draft.metadata;
        const basis = `create ${draft.spec.digest} ${ownerReferences[0]?.uid ?? ''}`;
        outbox.send(revisionKey(namespace, name), basis, async () => {
          await publisher.createRevision(draft);
          ports.onRevision();
        });
      }
      for (const { metadata } of remove) {
        const { namespace, name, uid, resourceVersion } = metadata;
        const reference = { kind: 'PolicySetRevision', namespace, name, uid, resourceVersion } as const;
        outbox.send(revisionKey(namespace, name), `delete ${uid} ${resourceVersion}`, async () => {
          await publisher.deleteRevision(reference);
          ports.onRevision();
        });
      }
    },
    keys(world, wall, observed) {
      const { writes, nextChange } = planKeys(world, wall, {
        source: ports.keys,
        isOpen: (uid, basis) => outbox.isOpen(keysKey(uid), basis),
        servedByAll: (zoneID, kid) => isServedByAll(observed, zoneID, kid),
      });
      for (const plan of [...writes, ...planOrphans(world)]) writeKeys(plan);
      return nextChange;
    },
    revocations(world, wall) {
      if (!publisher.deleteRevocation) return undefined;
      let next = Infinity;
      for (const object of world.revocations) {
        const at = deletionAt(object);
        if (at !== undefined && at > wall) next = Math.min(next, at);
        if (at === undefined || at > wall) continue;
        const { namespace, name, uid, resourceVersion } = object.metadata;
        const reference = { kind: 'Revocation', namespace, name, uid, resourceVersion } as const;
        outbox.send(`revocation ${namespace}/${name}`, `delete ${uid} ${resourceVersion}`, async () => {
          await publisher.deleteRevocation!(reference);
          ports.onRevocation();
        });
      }
      return Number.isFinite(next) ? next : undefined;
    },
    clear: () => orphans.clear(),
  };
}

/** Only what every replica has seen, and so remembers, may go. */
function deletionAt({ spec, status, metadata }: Revocation): number | undefined {
  if (spec.ttlAfterComplete === undefined) return undefined;
  const conditionOf = (wanted: string) =>
    status?.conditions?.find(({ type, observedGeneration }) => {
      return type === wanted && observedGeneration === metadata.generation;
    });
  const [complete, ready] = [conditionOf('Complete'), conditionOf('Ready')];
  if (complete?.status !== 'True' || ready?.status !== 'True') return undefined;
  return Date.parse(complete.lastTransitionTime) + parseSpan(spec.ttlAfterComplete);
}

export interface InTheMaking {
  readonly world: World;
  readonly result: CompileResult;
  readonly plan: RevisionPlan;
  /** Whether results of OPA are still to come. */
  readonly isGathering: boolean;
  readonly outbox: Pick<Outbox, 'isFailing'>;
}

/**
 * Whether a Zone's or PolicySet's status would be out of date at once: its keys or its set's revision are on their way.
 * A write that fails holds nothing up: then the status tells what is missing.
 */
export function createHold(making: InTheMaking): (key: string, verdict: Verdict) => boolean {
  const { world, outbox } = making;
  const sets = setsInTheMaking(making);
  const setOf = new Map(world.zones.map(({ metadata, spec }) => [metadata.uid, spec.policySetRef?.name]));
  return (key, verdict) => {
    if (verdict.kind === 'PolicySet') return sets.has(key);
    if (verdict.kind !== 'Zone' || !isAccepted(verdict)) return false;
    if (!world.keySets.has(verdict.uid) && !outbox.isFailing(keysKey(verdict.uid))) return true;
    const set = setOf.get(verdict.uid);
    return set !== undefined && sets.has(objectKey('PolicySet', verdict.namespace, set));
  };
}

function setsInTheMaking({ world, result, plan, isGathering, outbox }: InTheMaking): ReadonlySet<string> {
  const sets = new Set<string>();
  if (isGathering)
    for (const { metadata } of world.policySets) {
      const key = objectKey('PolicySet', metadata.namespace, metadata.name);
      if (!result.verdicts.has(key)) sets.add(key);
    }
  for (const { metadata, spec } of plan.create)
    if (!outbox.isFailing(revisionKey(metadata.namespace, metadata.name)))
      sets.add(objectKey('PolicySet', metadata.namespace, spec.set));
  return sets;
}

function isAccepted(verdict: Verdict): boolean {
  return verdict.conditions.some(({ type, status }) => type === 'Accepted' && status === 'True');
}

function keysKey(zoneUID: string): string {
  return `keys ${zoneUID}`;
}

function revisionKey(namespace: string, name: string): string {
  return `revision ${namespace}/${name}`;
}
