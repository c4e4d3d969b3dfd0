/** Label and field selectors in the syntax of Kubernetes. */
import { badRequest } from './errors.ts';
import type { ResourceInfo } from './group.ts';
import type { APIObject } from './objects.ts';

export type Selector = (object: APIObject) => boolean;

const EVERYTHING: Selector = () => true;

/** `a=b`, `a==b` and `a!=b`, joined by commas. Throws APIError. */
export function parseFieldSelector(text: string | null, resource: ResourceInfo): Selector {
  if (text === null || text.trim() === '') return EVERYTHING;
  const selectable = ['metadata.name', 'metadata.namespace', ...resource.fields];
  const terms = text.split(',').map((term) => {
    const [, path, operator, value] = /^\s*([A-Za-z.]+)\s*(==?|!=)(.*)$/s.exec(term) ?? [];
    if (path === undefined) throw badRequest(`fieldSelector: ${JSON.stringify(term)} is not FIELD=VALUE`);
    if (!selectable.includes(path))
      throw badRequest(
        `fieldSelector: ${path} is not selectable for ${resource.plural}; one of ${selectable.join(', ')}`,
      );
    return { path, isEqual: operator !== '!=', value: value!.trim() };
  });
  return (object) => terms.every(({ path, isEqual, value }) => (fieldOf(object, path) === value) === isEqual);
}

/** Absent is the empty string, as for every Kubernetes field selector. */
function fieldOf(object: APIObject, path: string): string {
  let value: unknown = object;
  for (const member of path.split('.')) value = (value as Readonly<Record<string, unknown>> | undefined)?.[member];
  return value === undefined ? '' : String(value);
}

/** `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)` and `a notin (b,c)`, joined by commas. Throws APIError. */
export function parseLabelSelector(text: string | null): Selector {
  if (text === null || text.trim() === '') return EVERYTHING;
  const terms = text.split(/,(?![^(]*\))/).map((term) => parseLabelTerm(term.trim()));
  return ({ metadata }) => terms.every((holds) => holds(metadata.labels));
}

type LabelTerm = (labels: Readonly<Record<string, string>>) => boolean;

const KEY = String.raw`[A-Za-z0-9][-A-Za-z0-9_./]*`;

function parseLabelTerm(term: string): LabelTerm {
  const [, not, present] = new RegExp(`^(!?)\\s*(${KEY})$`).exec(term) ?? [];
  if (present !== undefined) return (labels) => present in labels === (not === '');
  const [, key, operator, value] = new RegExp(`^(${KEY})\\s*(==?|!=)\\s*([-A-Za-z0-9_.]*)$`).exec(term) ?? [];
  if (key !== undefined) return (labels) => (labels[key] === value) === (operator !== '!=');
  const [, name, kind, list] = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`).exec(term) ?? [];
  if (name === undefined) throw badRequest(`labelSelector: ${JSON.stringify(term)} is no requirement`);
  const values = list!.split(',').map((one) => one.trim());
  return (labels) => (labels[name] !== undefined && values.includes(labels[name])) === (kind === 'in');
}
