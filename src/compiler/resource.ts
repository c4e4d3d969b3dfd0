/** Resource → the protected API's entry in its zone's snapshot. */
import type { Resource } from '../api/resource.ts';
import type { Zone } from '../api/zone.ts';
import type { ResourceEntry } from '../authority/snapshot.ts';
import { parseSpan } from './instants.ts';
import { findAmbiguous } from './operations.ts';
import { path, refuse, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';

/** The entry; it depends on the object alone. */
export const toResourceEntry = perObject(({ metadata, spec }: Resource): ResourceEntry => ({
  identifier: spec.identifier,
  uid: metadata.uid,
  namespace: metadata.namespace,
  name: metadata.name,
  type: spec.type,
  scopes: spec.scopes.map(({ name }) => name),
  protectedBy: spec.protectedBy?.map(({ serviceAccount }) => serviceAccount),
  upstream: toUpstream(spec.upstream, metadata.namespace),
  operations: spec.operations ?? [],
  operationEnforcement: spec.operationEnforcement,
  mandateTTL: spec.mandate.ttl === undefined ? undefined : Math.floor(parseSpan(spec.mandate.ttl) / 1000),
  forwardMandate: spec.forwardMandate,
  singleUse: spec.mandate.singleUse,
  proofOfPossession: spec.mandate.proofOfPossession,
}));

function toUpstream(upstream: Resource['spec']['upstream'], namespace: string): string | undefined {
  if (upstream?.url !== undefined) return upstream.url;
  if (!upstream?.service) return undefined;
  const { name, port, scheme = 'http' } = upstream.service;
  return `${scheme}://${name}.${namespace}.svc:${port}`;
}

/** ReservedName: `caracal-sys://` belongs to Caracal's own namespace. */
export function checkIdentifierName(object: Resource, systemNamespace: string): Refusal | undefined {
  const { identifier } = object.spec;
  if (!identifier.toLowerCase().startsWith('caracal-sys:') || object.metadata.namespace === systemNamespace)
    return undefined;
  const fix = `identifiers caracal-sys:// belong to namespace ${systemNamespace}; choose another`;
  return refuse('ReservedName', `Resource ${path(object)}: spec.identifier: ${fix}`);
}

/** What the object says about itself, in order: identifier, operations' scopes, operations' paths. */
export function checkResourceContent(object: Resource, zone: Zone): Refusal | undefined {
  return checkIdentifier(object, zone) ?? checkOperations(object);
}

function checkIdentifier(object: Resource, zone: Zone): Refusal | undefined {
  const { namespace } = object.metadata;
  const { scheme, host, userinfo } = splitIdentifier(object.spec.identifier);
  const who = `Resource ${path(object)}: spec.identifier`;
  if (userinfo) return refuse('IdentifierNotPermitted', `${who} holds user information; remove what stands before @`);
  if (namespace === zone.metadata.namespace) return undefined;
  if (scheme === 'https') {
    const fix = 'only the namespace of the Zone may use https identifiers; use resource:// or move the Resource';
    return refuse('IdentifierNotPermitted', `${who}: ${fix}`);
  }
  if (host === namespace || host.endsWith(`.${namespace}`)) return undefined;
  const fix = `from this namespace its host must be ${namespace} or end in .${namespace}`;
  return refuse('IdentifierNotPermitted', `${who}: ${fix}`);
}

/** Scheme in lower case and host byte by byte, RFC 3986 §3.2 without normalisation. */
function splitIdentifier(identifier: string) {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/?#]*))?/.exec(identifier);
  const authority = match?.[2] ?? '';
  return {
    scheme: match?.[1]?.toLowerCase() ?? '',
    host: authority.replace(/:\d*$/, ''),
    userinfo: authority.includes('@'),
  };
}

const checkOperations = perObject((object: Resource): Refusal | undefined => {
  const entry = toResourceEntry(object);
  for (const [index, { scopes }] of entry.operations.entries()) {
    const unknown = scopes.find((scope) => !entry.scopes.includes(scope));
    if (unknown === undefined) continue;
    const fix = `names scope ${unknown}, which spec.scopes does not declare; add it there or correct it`;
    return refuse('ScopeNotDeclared', `Resource ${path(object)}: spec.operations[${index}].scopes ${fix}`);
  }
  const pair = findAmbiguous(entry.operations);
  if (!pair) return undefined;
  const [a, b] = pair.map((index) => `spec.operations[${index}] (${entry.operations[index]!.path})`);
  return refuse(
    'OperationsAmbiguous',
    `Resource ${path(object)}: ${a} and ${b} can match one request and neither is more specific; change a path or a method`,
  );
});

export function identifierConflict(object: Resource, winner: Resource): Refusal {
  const fix = 'identifiers are unique in a zone; choose another';
  return refuse(
    'Conflicted',
    `Resource ${path(object)}: spec.identifier: Resource ${path(winner)} has the same; ${fix}`,
  );
}
