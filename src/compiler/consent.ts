/** A Zone's consent: which namespaces' objects may join it. */
import type { NamespaceObject } from '../api/meta.ts';
import type { Zone } from '../api/zone.ts';
import { path, refuse, type AnyKindObject, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';

type Selector = NonNullable<Zone['spec']['allowedNamespaces']['selector']>;
type Expression = NonNullable<Selector['matchExpressions']>[number];

/** Zones by `<namespace>/<name>` with those that were accepted, and the namespaces' labels. */
export interface ZoneDirectory {
  readonly zones: ReadonlyMap<string, Zone>;
  isAccepted(zone: Zone): boolean;
  admits(zone: Zone, namespace: string): boolean;
}

export function createZoneDirectory(
  zones: ReadonlyMap<string, Zone>,
  refused: ReadonlySet<Zone>,
  namespaces: readonly NamespaceObject[],
): ZoneDirectory {
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const answers = new Map<Zone, Map<string, boolean>>();
  return {
    zones,
    isAccepted: (zone) => !refused.has(zone),
    admits(zone, namespace) {
      let known = answers.get(zone);
      if (!known) answers.set(zone, (known = new Map()));
      let answer = known.get(namespace);
      if (answer === undefined) known.set(namespace, (answer = isAllowed(zone, namespace, labels.get(namespace))));
      return answer;
    },
  };
}

type Labels = Readonly<Record<string, string>>;

function isAllowed(zone: Zone, namespace: string, labels: Labels | undefined): boolean {
  if (namespace === zone.metadata.namespace) return true;
  const { from, selector } = zone.spec.allowedNamespaces;
  switch (from) {
    case 'Same':
      return false;
    case 'All':
      return true;
    case 'Selector':
      return labels !== undefined && selector !== undefined && matchesSelector(selector, labels);
  }
}

/** A label selector as in Kubernetes: every requirement must hold; here none at all selects nothing. */
function matchesSelector(selector: Selector, labels: Labels): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  const expressions = selector.matchExpressions ?? [];
  if (wanted.length + expressions.length === 0) return false;
  return wanted.every(([key, value]) => label(labels, key) === value) && expressions.every((e) => holds(e, labels));
}

function holds({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  const value = label(labels, key);
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return values.length > 0 && (value === undefined || !values.includes(value));
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

function label(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

type Joining = AnyKindObject & {
  readonly spec: { readonly zoneRef: { readonly name: string; readonly namespace?: string | undefined } };
};

const zonePath = perObject(({ metadata, spec: { zoneRef } }: Joining) => {
  return `${zoneRef.namespace ?? metadata.namespace}/${zoneRef.name}`;
});

/** The accepted Zone that an object's zoneRef names and that admits it, or why there is none. */
export function resolveZone(
  object: Joining,
  directory: ZoneDirectory,
): { readonly zone: Zone } | { readonly refusal: Refusal } {
  const zone = directory.zones.get(zonePath(object));
  const isUsable =
    zone !== undefined && directory.isAccepted(zone) && directory.admits(zone, object.metadata.namespace);
  return isUsable ? { zone } : { refusal: refuseZone(object, zone) };
}

/** From another namespace what is missing, not accepted or not permitted looks the same. */
function refuseZone(object: Joining, zone: Zone | undefined): Refusal {
  const own = object.metadata.namespace;
  const who = `${object.kind} ${path(object)}: spec.zoneRef names Zone ${zonePath(object)}`;
  if ((object.spec.zoneRef.namespace ?? own) !== own) {
    const fix = `its allowedNamespaces must admit namespace ${own}`;
    return refuse('ReferenceNotPermitted', `${who}, which is not there for this namespace; ${fix}`);
  }
  if (!zone) return refuse('ReferenceNotFound', `${who}, which does not exist; create it or correct the name`);
  return refuse('ReferenceNotAccepted', `${who}, which is not accepted; see its conditions`);
}
