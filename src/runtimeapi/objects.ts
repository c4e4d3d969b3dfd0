/** Agent sessions, edges and challenges in the form of Kubernetes objects. */
import type { AgentSession, DelegationEdge } from '../authority/agents/model.ts';
import type { Challenge } from '../authority/stepUp/challenge.ts';
import { GROUP_VERSION } from './group.ts';

export interface APIObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>> & { readonly state: string };
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Where an object lives. */
export interface ZoneName {
  readonly namespace: string;
  readonly name: string;
}

export type Shown = AgentSession | DelegationEdge | Challenge;

/** What is over for good is not shown: whoever deletes waits until it is gone. A challenge stays, with how it ended. */
export function isShown(object: Shown): boolean {
  if (object.kind === 'challenge') return true;
  return object.status === 'active' || object.status === 'suspended';
}

export function toAPIObject(object: Shown, zone: ZoneName, version: number): APIObject {
  switch (object.kind) {
    case 'agentSession':
      return toAgentSession(object, zone, version);
    case 'delegationEdge':
      return toDelegationEdge(object, zone, version);
    case 'challenge':
      return toStepUpChallenge(object, zone, version);
  }
}

function toAgentSession(session: AgentSession, zone: ZoneName, version: number): APIObject {
  const { application, subject, parentID, edgeID, lifecycle, depth, labels, metadata, expiresAt, lease } = session;
  return {
    apiVersion: GROUP_VERSION,
    kind: 'AgentSession',
    metadata: toMeta(session.id, session.startedAt, application.id, zone, version),
    spec: present({
      zone: zone.name,
      application: application.id,
      subject: { type: subject.type, issuer: subject.issuer, sub: subject.sub },
      parent: parentID,
      delegationEdge: edgeID,
      lifecycle,
      depth,
      labels,
      metadata,
      expiresAt: expiresAt === undefined ? undefined : instant(expiresAt * 1000),
    }),
    status: {
      state: session.status,
      ...(lease && { leaseGeneration: lease.generation, leaseExpiresAt: instant(lease.until * 1000) }),
    },
  };
}

function toDelegationEdge(edge: DelegationEdge, zone: ZoneName, version: number): APIObject {
  const { issuer, receiver, sourceSessionID, targetSessionID, parentEdgeID, scopes, resources, hopsLeft, path } = edge;
  return {
    apiVersion: GROUP_VERSION,
    kind: 'DelegationEdge',
    metadata: toMeta(edge.id, edge.createdAt, issuer.id, zone, version),
    spec: present({
      zone: zone.name,
      issuer: issuer.id,
      sourceSession: sourceSessionID,
      receiver: receiver.id,
      targetSession: targetSessionID,
      parentEdge: parentEdgeID,
      scopes,
      resources,
      hopsLeft,
      path,
      expiresAt: instant(edge.expiresAt * 1000),
    }),
    status: { state: edge.status },
  };
}

/** `binding` is shown: a decision repeats it, so that what was read is what is decided. */
function toStepUpChallenge(challenge: Challenge, zone: ZoneName, version: number): APIObject {
  const { application, subject, agentSessionID, chain, resource, scopes, tier, approver, decision } = challenge;
  return {
    apiVersion: GROUP_VERSION,
    kind: 'StepUpChallenge',
    metadata: toMeta(challenge.id, challenge.createdAt, application.id, zone, version),
    spec: present({
      zone: zone.name,
      application: application.id,
      subject: { type: subject.type, issuer: subject.issuer, sub: subject.sub },
      session: agentSessionID,
      chain,
      resource,
      scopes,
      tier,
      approver,
      requirements: challenge.requirements,
      binding: challenge.binding,
      expiresAt: instant(challenge.expiresAt * 1000),
    }),
    status: {
      state: challenge.state,
      ...(decision && {
        decision: present({
          approved: decision.approved,
          by: decision.by,
          reason: decision.reason,
          at: instant(decision.at),
        }),
      }),
    },
  };
}

/** The application that it is of is named by labels too, as far as it fits: 63 characters each. */
function toMeta(id: string, createdAt: number, applicationID: string, zone: ZoneName, version: number): ObjectMeta {
  const dot = applicationID.indexOf('.');
  return {
    name: id,
    namespace: zone.namespace,
    uid: id,
    resourceVersion: String(version),
    creationTimestamp: instant(createdAt),
    labels: {
      'caracal.run/zone': zone.name,
      'caracal.run/application-namespace': applicationID.slice(0, dot),
      'caracal.run/application': applicationID.slice(dot + 1),
    },
  };
}

/** metav1.Time: RFC 3339 in whole seconds. */
export function instant(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

function present(members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
