/** The World and the signing keys, from reflectors on every kind, on Namespaces and on the key Secrets. */
import type { Application } from '../api/application.ts';
import type { Grant } from '../api/grant.ts';
import type { NamespaceObject } from '../api/meta.ts';
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Revocation } from '../api/revocation.ts';
import type { Resource } from '../api/resource.ts';
import type { Zone } from '../api/zone.ts';
import type { KeySetState, WatchedKind, World, WorldSource } from '../compiler/world.ts';
import type { SigningKeySource } from '../sts/ports.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';
import { KEY_SECRET_LABEL, KEY_SECRET_USE, keySecretName, toKeySecret, type KeySecret } from './keySecret.ts';
import { collectionPath, secretsPath, type OurKind } from './paths.ts';
import { createReflector, type Reflector, type ReflectorPorts, type ReflectorState } from './reflector.ts';
import type { KubeRecord } from './watchEvent.ts';

export interface KubeSourceSettings {
  /** Caracal's own namespace, where the key Secrets are. */
  readonly namespace: string;
  /** For tests of dropped and silent watches. */
  readonly idleMs?: number;
  readonly watchSeconds?: number;
}

export interface KubeSource extends WorldSource, SigningKeySource {
  /** The key Secret of a zone as last seen. */
  keySecret(zoneUID: string): KeySecret | undefined;
  /** One state per watch, for metrics and readiness. */
  states(): Readonly<Record<WatchedKind, ReflectorState>>;
}

export function createKubeSource(settings: KubeSourceSettings, ports: ReflectorPorts): KubeSource {
  const watched = createReflectors(settings, ports);
  const all = Object.entries(watched) as [WatchedKind, Reflector<unknown>][];
  const listeners = new Set<() => void>();
  let world: World | undefined;
  let announced = false;

  const announce = (): void => {
    world = undefined;
    if (announced) return;
    announced = true;
    setImmediate(() => {
      announced = false;
      for (const listener of listeners) listener();
    });
  };
  for (const [, reflector] of all) reflector.onChange(announce);

  const keySecret = (zoneUID: string): KeySecret | undefined =>
    watched.KeySet.get(settings.namespace, keySecretName(zoneUID));

  return {
    async start() {
      await Promise.all(all.map(([, reflector]) => reflector.start()));
    },
    world: () => (world ??= buildWorld(settings.namespace, watched)),
    versions: () => byKind(all, (reflector) => reflector.version()),
    states: () => byKind(all, (reflector) => reflector.state()) as Record<WatchedKind, ReflectorState>,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    lastEventAge: () => Math.max(...all.map(([, reflector]) => reflector.state().lastEventAge)),
    keySecret,
    keys(zoneUID) {
      const state = keySecret(zoneUID)?.keys;
      return state?.ok === true ? state.keys : [];
    },
    async close() {
      listeners.clear();
      await Promise.all(all.map(([, reflector]) => reflector.close()));
    },
  };
}

type Reflectors = ReturnType<typeof createReflectors>;

function createReflectors(settings: KubeSourceSettings, ports: ReflectorPorts) {
  const timing = {
    ...(settings.idleMs === undefined ? {} : { idleMs: settings.idleMs }),
    ...(settings.watchSeconds === undefined ? {} : { watchSeconds: settings.watchSeconds }),
  };
  /** The API server has checked these against the schema of the CRD, which is made from the same source as the type. */
  const kind = <T>(name: OurKind): Reflector<T> =>
    createReflector<T>(
      {
        ...timing,
        path: collectionPath(name),
        toItem: (record) => ({ ...record, apiVersion: record['apiVersion'], kind: name }) as unknown as T,
      },
      ports,
    );
  return {
    Zone: kind<Zone>('Zone'),
    Application: kind<Application>('Application'),
    Resource: kind<Resource>('Resource'),
    Grant: kind<Grant>('Grant'),
    Policy: kind<Policy>('Policy'),
    PolicySet: kind<PolicySet>('PolicySet'),
    PolicySetRevision: kind<PolicySetRevision>('PolicySetRevision'),
    Revocation: kind<Revocation>('Revocation'),
    Namespace: createReflector<NamespaceObject>(
      { ...timing, path: '/api/v1/namespaces', metadataOnly: true, toItem: toNamespace },
      ports,
    ),
    KeySet: createReflector<KeySecret>(
      {
        ...timing,
        path: secretsPath(settings.namespace),
        labelSelector: `${KEY_SECRET_LABEL}=${KEY_SECRET_USE}`,
        toItem: toKeySecret,
      },
      ports,
    ),
  } satisfies Record<WatchedKind, unknown>;
}

function toNamespace(record: KubeRecord): NamespaceObject {
  const { name, uid, resourceVersion, labels } = record.metadata;
  return { metadata: { name, uid, resourceVersion, ...(labels === undefined ? {} : { labels }) } };
}

function buildWorld(systemNamespace: string, watched: Reflectors): World {
  return {
    systemNamespace,
    namespaces: watched.Namespace.items(),
    zones: present(watched.Zone.items()),
    applications: present(watched.Application.items()),
    resources: present(watched.Resource.items()),
    grants: present(watched.Grant.items()),
    policies: present(watched.Policy.items()),
    policySets: present(watched.PolicySet.items()),
    policySetRevisions: present(watched.PolicySetRevision.items()),
    revocations: present(watched.Revocation.items()),
    keySets: new Map(watched.KeySet.items().map((secret) => [secret.zoneUID, keySetState(secret)])),
  };
}

/** An object that is being deleted is absent. */
function present<T extends { readonly metadata: { readonly deletionTimestamp?: string } }>(
  items: readonly T[],
): readonly T[] {
  return items.some((item) => item.metadata.deletionTimestamp !== undefined)
    ? items.filter((item) => item.metadata.deletionTimestamp === undefined)
    : items;
}

type VerificationKey = (KeySetState & { ok: true })['keys'][number];

const keySetStates = new WeakMap<KeySecret, KeySetState>();

/** One reference per version of a Secret, which is what compile's memory keys on. */
function keySetState(secret: KeySecret): KeySetState {
  const known = keySetStates.get(secret);
  if (known !== undefined) return known;
  const state: KeySetState = secret.keys.ok
    ? { ok: true, keys: secret.keys.keys.map(verificationKey) }
    : { ok: false, message: secret.keys.message };
  keySetStates.set(secret, state);
  return state;
}

function verificationKey(key: PrivateZoneKey): VerificationKey {
  return { kid: key.kid, x: key.x, y: key.y, activeAt: key.activeAt };
}

function byKind<T>(
  all: readonly (readonly [WatchedKind, Reflector<unknown>])[],
  read: (reflector: Reflector<unknown>) => T | undefined,
): Partial<Record<WatchedKind, T>> {
  const pairs = all.map(([kind, reflector]) => [kind, read(reflector)] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
