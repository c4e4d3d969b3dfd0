/** What list and watch answers hold, parsed from bytes: items, versions, events and the errors inside a stream. */
import { KubeError } from './client.ts';
import { isVersion } from './version.ts';

/** Any Kubernetes object as it came, with the metadata that a store needs checked. */
export interface KubeRecord {
  readonly metadata: KubeMetadata;
  readonly [member: string]: unknown;
}

interface KubeMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

export interface ListPage {
  readonly items: readonly KubeRecord[];
  readonly resourceVersion: string;
  readonly continue: string | undefined;
}

export type WatchEvent =
  | { readonly type: 'set' | 'delete'; readonly object: KubeRecord }
  | { readonly type: 'bookmark'; readonly resourceVersion: string };

/** Drops `managedFields`, which nobody here reads and which are often the larger half. Throws when metadata is incomplete. */
export function parseRecord(value: unknown): KubeRecord {
  const record = requireObject(value, 'an object');
  const { managedFields: _, ...metadata } = requireObject(record['metadata'], 'metadata');
  for (const member of ['name', 'uid'])
    if (typeof metadata[member] !== 'string') throw new Error(`metadata.${member} is missing`);
  if (!isVersion(metadata['resourceVersion'])) throw new Error('metadata.resourceVersion is not an integer');
  return { ...record, metadata: metadata as unknown as KubeMetadata };
}

export function parseListPage(value: unknown): ListPage {
  const list = requireObject(value, 'a list');
  const metadata = requireObject(list['metadata'], 'metadata of a list');
  const items = list['items'] ?? [];
  if (!Array.isArray(items)) throw new Error('items of a list is not an array');
  if (!isVersion(metadata['resourceVersion'])) throw new Error('resourceVersion of a list is not an integer');
  const next = metadata['continue'];
  return {
    items: items.map(parseRecord),
    resourceVersion: metadata['resourceVersion'],
    continue: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

/** One line of a watch. Throws KubeError for an ERROR event (410: the version is too old). */
export function parseWatchEvent(line: Buffer): WatchEvent {
  const event = requireObject(JSON.parse(line.toString('utf8')), 'a watch event');
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
      return { type: 'set', object: parseRecord(event['object']) };
    case 'DELETED':
      return { type: 'delete', object: parseRecord(event['object']) };
    case 'BOOKMARK':
      return { type: 'bookmark', resourceVersion: bookmarkVersion(event['object']) };
    case 'ERROR':
      throw streamError(requireObject(event['object'], 'the object of an ERROR event'));
    default:
      throw new Error(`watch event of unknown type ${JSON.stringify(event['type'])}`);
  }
}

function bookmarkVersion(value: unknown): string {
  const metadata = requireObject(requireObject(value, 'a bookmark')['metadata'], 'metadata of a bookmark');
  const version = metadata['resourceVersion'];
  if (!isVersion(version)) throw new Error('resourceVersion of a bookmark is not an integer');
  return version;
}

function streamError(status: Record<string, unknown>): KubeError {
  const code = typeof status['code'] === 'number' ? status['code'] : 500;
  const details = status['details'];
  const retry =
    typeof details === 'object' && details !== null
      ? (details as Record<string, unknown>)['retryAfterSeconds']
      : undefined;
  return new KubeError(
    code,
    String(status['reason'] ?? 'Unknown'),
    `watch: ${code} ${String(status['message'] ?? '')}`,
    typeof retry === 'number' ? retry : undefined,
  );
}

function requireObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} expected, got ${JSON.stringify(value)?.slice(0, 80)}`);
  return value as Record<string, unknown>;
}
