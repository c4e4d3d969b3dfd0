/** Paths of the REST API for the kinds we read and write. */
import { API_VERSION } from '../api/meta.ts';

/** Every kind of our group, with its plural. */
const PLURALS = {
  Zone: 'zones',
  Application: 'applications',
  Resource: 'resources',
  Grant: 'grants',
  Policy: 'policies',
  PolicySet: 'policysets',
  PolicySetRevision: 'policysetrevisions',
  Revocation: 'revocations',
} as const;

export type OurKind = keyof typeof PLURALS;

/** All objects of a kind, in every namespace. */
export function collectionPath(kind: OurKind): string {
  return `/apis/${API_VERSION}/${PLURALS[kind]}`;
}

export function namespacedPath(kind: OurKind, namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${segment(namespace)}/${PLURALS[kind]}`;
}

export function objectPath(kind: OurKind, namespace: string, name: string): string {
  return `${namespacedPath(kind, namespace)}/${segment(name)}`;
}

export function secretsPath(namespace: string): string {
  return `/api/v1/namespaces/${segment(namespace)}/secrets`;
}

export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${segment(namespace)}/leases`;
}

export function eventsPath(namespace: string): string {
  return `/apis/events.k8s.io/v1/namespaces/${segment(namespace)}/events`;
}

export function endpointSlicesPath(namespace: string): string {
  return `/apis/discovery.k8s.io/v1/namespaces/${segment(namespace)}/endpointslices`;
}

function segment(text: string): string {
  return encodeURIComponent(text);
}
