/** Lists: selected, a page at a time, in the form that was asked for. */
import { badRequest, expired } from './errors.ts';
import type { Form } from './accept.ts';
import { GROUP_VERSION, type ResourceInfo } from './group.ts';
import type { APIObject } from './objects.ts';
import type { RuntimePorts } from './ports.ts';
import { parseFieldSelector, parseLabelSelector, type Selector } from './selectors.ts';
import { toPartial, toTable, type IncludeObject } from './table.ts';

export interface ListQuery {
  readonly resource: ResourceInfo;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly form: Form;
}

/** Both selectors together. Throws APIError. */
export function parseSelectors(query: URLSearchParams, resource: ResourceInfo): Selector {
  const byField = parseFieldSelector(query.get('fieldSelector'), resource);
  const byLabel = parseLabelSelector(query.get('labelSelector'));
  return (object) => byField(object) && byLabel(object);
}

/** Throws APIError. Later pages show later state than the first: a watch from the first one's version tells what changed. */
export function toList({ resource, namespace, query, form }: ListQuery, { objects, now }: RuntimePorts) {
  const selector = parseSelectors(query, resource);
  const { version, objects: all } = objects.list(resource.plural, namespace);
  const from = parseContinue(query.get('continue'));
  const limit = parseLimit(query.get('limit'));
  const selected = all.filter(selector);
  const rest = from ? selected.filter((object) => keyOf(object) > from.after) : selected;
  const page = limit === undefined ? rest : rest.slice(0, limit);
  const first = from?.version ?? version;
  const listMeta = {
    resourceVersion: String(first),
    ...(page.length < rest.length && {
      continue: toContinue({ after: keyOf(page.at(-1)!), version: first }),
      remainingItemCount: rest.length - page.length,
    }),
  };
  return inForm(resource, page, { form, listMeta, now: now(), include: includeOf(query) });
}

export interface Showing {
  readonly form: Form;
  readonly listMeta: Readonly<Record<string, unknown>>;
  readonly now: number;
  readonly include: IncludeObject;
}

function inForm(resource: ResourceInfo, page: readonly APIObject[], { form, listMeta, now, include }: Showing) {
  if (form === 'table') return toTable(resource.kind, page, listMeta, now, include);
  if (form === 'metadata')
    return {
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata: listMeta,
      items: page.map(toPartial),
    };
  return { kind: `${resource.kind}List`, apiVersion: GROUP_VERSION, metadata: listMeta, items: page };
}

/** One object, as an answer or in an event of a watch. */
export function toOne(object: APIObject, { form, now, include }: Omit<Showing, 'listMeta'>) {
  if (form === 'metadata') return toPartial(object);
  if (form !== 'table') return object;
  return toTable(object.kind, [object], { resourceVersion: object.metadata.resourceVersion }, now, include);
}

export function includeOf(query: URLSearchParams): IncludeObject {
  const asked = query.get('includeObject');
  if (asked === null || asked === 'Metadata' || asked === 'None' || asked === 'Object') return asked ?? 'Metadata';
  throw badRequest('includeObject must be None, Metadata or Object');
}

function keyOf({ metadata }: APIObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function parseLimit(text: string | null): number | undefined {
  if (text === null || text === '' || text === '0') return undefined;
  if (/^[0-9]{1,6}$/.test(text)) return Number(text);
  throw badRequest('limit must be a number of objects');
}

interface Continue {
  readonly after: string;
  readonly version: number;
}

function toContinue({ after, version }: Continue): string {
  return Buffer.from(JSON.stringify([version, after])).toString('base64url');
}

function parseContinue(text: string | null): Continue | undefined {
  if (text === null || text === '') return undefined;
  try {
    const [version, after] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as [unknown, unknown];
    if (typeof version === 'number' && typeof after === 'string') return { version, after };
  } catch {
    // Not ours: as below.
  }
  throw expired();
}
