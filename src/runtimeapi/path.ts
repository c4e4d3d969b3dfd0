/** What a request is about: the paths of the group, parsed once. */
import { BASE, resourceOf, type ResourceInfo } from './group.ts';

export type Target =
  | { readonly type: 'collection'; readonly resource: ResourceInfo; readonly namespace: string | undefined }
  | { readonly type: 'object'; readonly resource: ResourceInfo; readonly namespace: string; readonly name: string }
  | { readonly type: 'decision'; readonly namespace: string; readonly name: string }
  | { readonly type: 'freeze'; readonly namespace: string; readonly name: string }
  | { readonly type: 'review' | 'authorities'; readonly namespace: string };

/** Undefined for every path that is not of the group, or has two readings. */
export function parseTarget(path: string): Target | undefined {
  if (!path.startsWith(`${BASE}/`)) return undefined;
  const segments = path.slice(BASE.length + 1).split('/');
  if (!segments.every((segment) => /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(segment))) return undefined;
  if (segments[0] !== 'namespaces') {
    const resource = segments.length === 1 ? resourceOf(segments[0]!) : undefined;
    return resource && { type: 'collection', resource, namespace: undefined };
  }
  const [, namespace, plural, name, sub] = segments;
  if (namespace === undefined || plural === undefined || segments.length > 5) return undefined;
  if (sub !== undefined) return toSubresource(plural, namespace, name!, sub);
  if (plural === 'authorityreviews') return name === undefined ? { type: 'review', namespace } : undefined;
  if (plural === 'authoritylists') return name === undefined ? { type: 'authorities', namespace } : undefined;
  const resource = resourceOf(plural);
  if (!resource) return undefined;
  return name === undefined
    ? { type: 'collection', resource, namespace }
    : { type: 'object', resource, namespace, name };
}

function toSubresource(plural: string, namespace: string, name: string, sub: string): Target | undefined {
  if (plural === 'stepupchallenges' && sub === 'decision') return { type: 'decision', namespace, name };
  if (plural === 'zones' && sub === 'freeze') return { type: 'freeze', namespace, name };
  return undefined;
}

/** What authorization is asked about, in the words of RBAC. */
export interface Attributes {
  readonly verb: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** Deciding a challenge needs the verb `approve`, which `create` does not imply. Undefined: no such verb here. */
export function toAttributes(method: string, target: Target, query: URLSearchParams): Attributes | undefined {
  switch (target.type) {
    case 'collection': {
      const { resource, namespace } = target;
      const verb = query.get('watch') === 'true' || query.get('watch') === '1' ? 'watch' : 'list';
      if (method !== 'GET') return undefined;
      return { verb, resource: resource.plural, ...(namespace !== undefined && { namespace }) };
    }
    case 'object': {
      const verb = { GET: 'get', DELETE: 'delete' }[method];
      if (verb === undefined || !target.resource.verbs.includes(verb)) return undefined;
      return { verb, resource: target.resource.plural, namespace: target.namespace, name: target.name };
    }
    case 'decision':
      if (method !== 'POST') return undefined;
      return { verb: 'approve', resource: 'stepupchallenges', subresource: 'decision', ...named(target) };
    case 'freeze': {
      const verb = { GET: 'get', POST: 'create', DELETE: 'delete' }[method];
      return verb === undefined ? undefined : { verb, resource: 'zones', subresource: 'freeze', ...named(target) };
    }
    case 'review':
      if (method !== 'POST') return undefined;
      return { verb: 'create', resource: 'authorityreviews', namespace: target.namespace };
    case 'authorities':
      if (method !== 'POST') return undefined;
      return { verb: 'create', resource: 'authoritylists', namespace: target.namespace };
  }
}

function named({ namespace, name }: { readonly namespace: string; readonly name: string }) {
  return { namespace, name };
}
