/** Writes the controller's results to the Kubernetes API: every write is fenced by the Lease and by a resourceVersion. */
import { createHash } from 'node:crypto';
import { API_VERSION } from '../api/meta.ts';
import type { Clock } from './clock.ts';
import type { ObjectReference, Publisher } from '../controller/ports.ts';
import { applyRequest, hasStatus, type KubeClient, type KubeRequest } from './client.ts';
import { keySecretName, keySecretObject, type KeySecret } from './keySecret.ts';
import { eventsPath, namespacedPath, objectPath, secretsPath } from './paths.ts';

const FIELD_MANAGER = 'caracal-controller';

export interface KubePublisherSettings {
  /** Caracal's own namespace. */
  readonly namespace: string;
  /** Who reports in Events; the process' lease identity. */
  readonly identity: string;
}

export interface KubePublisherPorts {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Throws unless this process may write now. */
  assertLeader(): void;
  /** The key Secret of a zone as last seen: what `writeKeySet` replaces. */
  keySecret(zoneUID: string): KeySecret | undefined;
  /** Called before each write, by what is written, for metrics. */
  onWrite?(what: 'revision' | 'revocation' | 'keys' | 'status' | 'event'): void;
}

export function createKubePublisher(settings: KubePublisherSettings, ports: KubePublisherPorts): Publisher {
  const write = async (
    what: 'revision' | 'revocation' | 'keys' | 'status' | 'event',
    request: KubeRequest,
  ): Promise<void> => {
    ports.assertLeader();
    ports.onWrite?.(what);
    await ports.client.request(request);
  };
  return {
    createRevision: (revision) =>
      write('revision', {
        method: 'POST',
        path: namespacedPath('PolicySetRevision', revision.metadata.namespace),
        query: { fieldManager: FIELD_MANAGER },
        body: { ...revision, apiVersion: API_VERSION, kind: 'PolicySetRevision' },
      }),
    deleteRevision: (reference) => write('revision', deletion(pathOf(reference), reference)),
    deleteRevocation: (reference) => write('revocation', deletion(pathOf(reference), reference)),
    async writeKeySet(zone, keys) {
      const known = ports.keySecret(zone.uid);
      if (keys.length > 0) return write('keys', keyRequest(settings.namespace, zone, keys, known));
      if (known === undefined) return;
      const path = `${secretsPath(settings.namespace)}/${known.name}`;
      await write('keys', deletion(path, known)).catch(ignoreAbsent);
    },
    writeStatus: (reference, status) => write('status', statusRequest(reference, status)),
    emitEvent: (reference, type, reason, message) =>
      write('event', {
        method: 'POST',
        path: eventsPath(reference.namespace),
        body: {
          ...eventObject(reference, { type, reason, message }, ports.clock.now()),
          reportingInstance: settings.identity.slice(0, 128),
        },
      }),
  };
}

function pathOf({ kind, namespace, name }: ObjectReference): string {
  return objectPath(kind, namespace, name);
}

/** Deletes exactly this version of exactly this object. */
function deletion(path: string, object: { readonly uid: string; readonly resourceVersion: string }): KubeRequest {
  const preconditions = { uid: object.uid, resourceVersion: object.resourceVersion };
  return { method: 'DELETE', path, body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions } };
}

function ignoreAbsent(error: unknown): void {
  if (!hasStatus(error, 404)) throw error;
}

function keyRequest(
  namespace: string,
  zone: { readonly uid: string; readonly id: string },
  keys: Parameters<Publisher['writeKeySet']>[1],
  known: KeySecret | undefined,
): KubeRequest {
  const body = keySecretObject(namespace, zone, keys, known?.resourceVersion);
  const path = secretsPath(namespace);
  const query = { fieldManager: FIELD_MANAGER };
  return known === undefined
    ? { method: 'POST', path, query, body }
    : { method: 'PUT', path: `${path}/${keySecretName(zone.uid)}`, query, body };
}

/** Server-side apply of the whole status; uid and resourceVersion make the server refuse (409) if the object moved on. */
function statusRequest(reference: ObjectReference, status: Readonly<Record<string, unknown>>): KubeRequest {
  const { kind, namespace, name, uid, resourceVersion } = reference;
  return applyRequest(`${objectPath(kind, namespace, name)}/status`, FIELD_MANAGER, {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, namespace, uid, resourceVersion },
    status,
  });
}

/** events.k8s.io/v1, but for who; `note` is at most 1 KiB. The name is that of what happened, so nothing is told twice. */
function eventObject(
  reference: ObjectReference,
  event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
  now: number,
): Record<string, unknown> {
  const { kind, namespace, name, uid, resourceVersion } = reference;
  const what = JSON.stringify([kind, uid, resourceVersion, event.reason, now]);
  const suffix = createHash('sha256').update(what).digest('hex').slice(0, 16);
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${name}.${suffix}`, namespace },
    eventTime: new Date(now).toISOString().replace('Z', '000Z'),
    reportingController: 'caracal.run/controller',
    action: 'Reconcile',
    type: event.type,
    reason: event.reason,
    note: event.message.slice(0, 1000),
    regarding: { apiVersion: API_VERSION, kind, namespace, name, uid, resourceVersion },
  };
}
