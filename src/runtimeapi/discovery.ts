/** What there is to ask for: the documents of discovery, each in both forms that API servers and clients read. */
import { ACTIONS, BASE, GROUP, GROUP_VERSION, RESOURCES, VERSION_NAME } from './group.ts';
import type { Form } from './accept.ts';

const VERSION = { groupVersion: GROUP_VERSION, version: VERSION_NAME };
const APIGROUP = { name: GROUP, versions: [VERSION], preferredVersion: VERSION };
const CATEGORIES = ['caracal-runtime'];

/** Undefined where the path is none of discovery. */
export function toDiscovery(path: string, form: Form): unknown {
  switch (path) {
    case '/apis':
      if (form === 'discovery') return toAggregated();
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: [APIGROUP] };
    case `/apis/${GROUP}`:
      return { kind: 'APIGroup', apiVersion: 'v1', ...APIGROUP };
    case BASE:
      return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP_VERSION, resources: toResources() };
    default:
      return undefined;
  }
}

function toResources() {
  const objects = RESOURCES.map(({ plural, singular, kind, verbs, shortNames }) => ({
    ...{ name: plural, singularName: singular, namespaced: true, kind, verbs, shortNames, categories: CATEGORIES },
  }));
  const actions = ACTIONS.map(({ name, singular, kind, verbs }) => ({
    ...{ name, singularName: singular, namespaced: true, kind, verbs },
  }));
  return [...objects, ...actions];
}

/** apidiscovery.k8s.io/v2. */
function toAggregated() {
  const kindOf = (kind: string) => ({ group: GROUP, version: VERSION_NAME, kind });
  const subresources = (plural: string) =>
    ACTIONS.filter(({ name }) => name.startsWith(`${plural}/`)).map(({ name, kind, verbs }) => ({
      subresource: name.slice(plural.length + 1),
      responseKind: kindOf(kind),
      verbs,
    }));
  const objects = RESOURCES.map(({ plural, singular, kind, verbs, shortNames }) => ({
    ...{ resource: plural, responseKind: kindOf(kind), scope: 'Namespaced', singularResource: singular, verbs },
    ...{ shortNames, categories: CATEGORIES, subresources: subresources(plural) },
  }));
  const reviews = ACTIONS.filter(({ name }) => !name.includes('/')).map(({ name, singular, kind, verbs }) => ({
    ...{ resource: name, responseKind: kindOf(kind), scope: 'Namespaced', singularResource: singular, verbs },
  }));
  const zones = {
    ...{ resource: 'zones', responseKind: kindOf('ZoneFreeze'), scope: 'Namespaced', singularResource: 'zone' },
    ...{ verbs: [], subresources: subresources('zones') },
  };
  const versions = [{ version: VERSION_NAME, freshness: 'Current', resources: [...objects, ...reviews, zones] }];
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: [{ metadata: { name: GROUP, creationTimestamp: null }, versions }],
  };
}
