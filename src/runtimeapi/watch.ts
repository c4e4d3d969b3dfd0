/** A watch: what there is, if asked, then every change in order, with bookmarks, until its time is over. */
import { Readable } from 'node:stream';
import type { Form } from './accept.ts';
import { badRequest, expired } from './errors.ts';
import { GROUP_VERSION, type ResourceInfo } from './group.ts';
import { includeOf, parseSelectors, toOne } from './list.ts';
import type { APIObject } from './objects.ts';
import type { RuntimeEvent, RuntimePorts } from './ports.ts';

export interface WatchQuery {
  readonly resource: ResourceInfo;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly form: Form;
}

const DEFAULT_SECONDS = 30 * 60;
const BOOKMARK_MS = 30_000;
/** Of lines that a client has not read: it then watches anew. */
const MAX_BUFFERED = 4 * 1024 * 1024;
const INITIAL_END = 'k8s.io/initial-events-end';

/** Lines of JSON. Throws APIError before anything is sent. */
export function openWatch({ resource, namespace, query, form }: WatchQuery, ports: RuntimePorts): Readable {
  const selector = parseSelectors(query, resource);
  const include = includeOf(query);
  const seconds = parseSeconds(query.get('timeoutSeconds'));
  const isBookmarked = query.get('allowWatchBookmarks') === 'true';
  const start = toStart({ resource, namespace, query, form }, ports);
  const shows = (object: APIObject) => toOne(object, { form, now: ports.now(), include });
  const isWanted = (object: APIObject) =>
    (namespace === undefined || object.metadata.namespace === namespace) && selector(object);

  let version = start.version;
  const stops: (() => void)[] = [];
  const stream = new Readable({
    read: () => undefined,
    destroy(error, done) {
      for (const stop of stops) stop();
      done(error);
    },
  });
  const send = (type: string, object: unknown): void => {
    stream.push(`${JSON.stringify({ type, object })}\n`);
    if (stream.readableLength > MAX_BUFFERED) stream.destroy();
  };
  const bookmark = (annotations?: Readonly<Record<string, string>>): void => {
    const metadata = { resourceVersion: String(version), ...(annotations && { annotations }) };
    send('BOOKMARK', { kind: resource.kind, apiVersion: GROUP_VERSION, metadata });
  };
  const tell = createTeller(isWanted, (type, object) => send(type, shows(object)));
  const take = (event: RuntimeEvent): void => {
    version = event.version;
    if (event.plural === resource.plural) tell.event(event);
  };

  for (const object of start.objects.filter(isWanted)) tell.initially(object, start.isToldInitially);
  if (start.isInitial) bookmark({ [INITIAL_END]: 'true' });
  for (const event of start.missed) take(event);
  stops.push(ports.objects.onEvent(take));
  if (isBookmarked) {
    const timer = setInterval(() => bookmark(), BOOKMARK_MS).unref();
    stops.push(() => clearInterval(timer));
  }
  const end = setTimeout(() => stream.push(null), seconds * 1000).unref();
  stops.push(() => clearTimeout(end));
  return stream;
}

/** A client of a selector is told ADDED and DELETED when an object comes into it and leaves it. */
function createTeller(isWanted: (object: APIObject) => boolean, send: (type: string, object: APIObject) => void) {
  const known = new Set<string>();
  return {
    initially(object: APIObject, isTold: boolean): void {
      known.add(object.metadata.uid);
      if (isTold) send('ADDED', object);
    },
    event({ type, object }: RuntimeEvent): void {
      const { uid } = object.metadata;
      const wasKnown = known.has(uid);
      if (type !== 'DELETED' && isWanted(object)) {
        known.add(uid);
        send(wasKnown ? 'MODIFIED' : 'ADDED', object);
      } else if (wasKnown) {
        known.delete(uid);
        send('DELETED', object);
      }
    },
  };
}

interface Start {
  readonly version: number;
  readonly objects: readonly APIObject[];
  readonly isToldInitially: boolean;
  /** A bookmark says where the first objects end. */
  readonly isInitial: boolean;
  readonly missed: readonly RuntimeEvent[];
}

/** Without a version, or with 0: from what there is now. */
function toStart({ resource, namespace, query }: WatchQuery, { objects }: RuntimePorts): Start {
  const text = query.get('resourceVersion') ?? '';
  const isInitial = query.get('sendInitialEvents') === 'true';
  const present = objects.list(resource.plural, namespace);
  if (isInitial || text === '' || text === '0')
    return { ...present, isToldInitially: query.get('sendInitialEvents') !== 'false', isInitial, missed: [] };
  if (!/^[0-9]{1,16}$/.test(text)) throw badRequest('resourceVersion must be one of a list or watch');
  const missed = objects.since(Number(text));
  if (!missed) throw expired();
  return {
    version: Number(text),
    objects: before(present.objects, missed),
    isToldInitially: false,
    isInitial: false,
    missed,
  };
}

/** What was there before those events, as far as a selector needs to know: which objects, in what state they are now. */
function before(present: readonly APIObject[], missed: readonly RuntimeEvent[]): readonly APIObject[] {
  const added = new Set(missed.filter(({ type }) => type === 'ADDED').map(({ object }) => object.metadata.uid));
  const ended = missed.filter(({ type, object }) => type === 'DELETED' && !added.has(object.metadata.uid));
  return [...present.filter(({ metadata }) => !added.has(metadata.uid)), ...ended.map(({ object }) => object)];
}

function parseSeconds(text: string | null): number {
  if (text === null || text === '') return DEFAULT_SECONDS;
  if (/^[0-9]{1,6}$/.test(text)) return Math.min(Number(text), DEFAULT_SECONDS);
  throw badRequest('timeoutSeconds must be a number of seconds');
}
