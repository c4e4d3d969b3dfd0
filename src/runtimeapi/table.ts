/** What `kubectl get` prints: tables as the server says them. */
import type { APIObject } from './objects.ts';

interface Column {
  readonly name: string;
  readonly description: string;
  /** 1: only with `-o wide`. */
  readonly priority: 0 | 1;
  readonly cell: (object: APIObject, now: number) => string | number;
}

const field = (object: APIObject, name: string): string => {
  const value = object.spec[name];
  if (Array.isArray(value)) return value.length === 0 ? '*' : value.join(',');
  return value === undefined ? '' : String(value);
};

const column = (name: string, description: string, cell: Column['cell'], priority: 0 | 1 = 0): Column => ({
  ...{ name, description, cell, priority },
});

const ofSpec = (name: string, member: string, description: string, priority: 0 | 1 = 0): Column =>
  column(name, description, (object) => field(object, member), priority);

const ZONE = ofSpec('Zone', 'zone', 'The Zone it belongs to.');
const STATE = column('State', 'How it stands.', ({ status }) => status.state);
const AGE = column('Age', 'How long ago it began.', ({ metadata }, now) => age(metadata.creationTimestamp, now));
const LEFT = column('Left', 'How long it lasts at most.', ({ spec, status }, now) =>
  left(spec['expiresAt'] ?? status['leaseExpiresAt'], now),
);

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  AgentSession: [
    ZONE,
    ofSpec('Application', 'application', 'Whose agent runs.'),
    STATE,
    LEFT,
    AGE,
    ofSpec('Lifecycle', 'lifecycle', 'task or service.', 1),
    ofSpec('Parent', 'parent', 'The session that started it.', 1),
    column('Subject', 'For whom it acts.', ({ spec }) => subject(spec), 1),
  ],
  DelegationEdge: [
    ofSpec('From', 'issuer', 'Who passed authority on.'),
    ofSpec('To', 'receiver', 'Who received it.'),
    ofSpec('Scopes', 'scopes', 'What was passed on.'),
    LEFT,
    AGE,
    ofSpec('Zone', 'zone', 'The Zone it belongs to.', 1),
    ofSpec('Resources', 'resources', 'On which Resources; * is all that the issuer reaches.', 1),
    ofSpec('Hops', 'hopsLeft', 'How often it may be passed on.', 1),
    ofSpec('Source', 'sourceSession', 'From which session.', 1),
    ofSpec('Target', 'targetSession', 'To which session.', 1),
  ],
  StepUpChallenge: [
    ofSpec('Application', 'application', 'Who waits.'),
    ofSpec('Resource', 'resource', 'For which Resource.'),
    ofSpec('Scopes', 'scopes', 'For which scopes.'),
    STATE,
    LEFT,
    AGE,
    ofSpec('Tier', 'tier', 'As policy names it.', 1),
    ofSpec('Approver', 'approver', 'Who may decide.', 1),
    column('Subject', 'For whom.', ({ spec }) => subject(spec), 1),
    ofSpec('Zone', 'zone', 'The Zone it belongs to.', 1),
  ],
};

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** meta.k8s.io/v1 Table. `listMeta` is that of the list. */
export function toTable(
  kind: string,
  objects: readonly APIObject[],
  listMeta: Readonly<Record<string, unknown>>,
  now: number,
  include: IncludeObject = 'Metadata',
): Readonly<Record<string, unknown>> {
  const columns = COLUMNS[kind] ?? [];
  const name = { name: 'Name', type: 'string', format: 'name', description: 'Its id.', priority: 0 };
  const definitions = columns.map((one) => ({
    ...{ name: one.name, type: 'string', format: '', description: one.description, priority: one.priority },
  }));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions: [name, ...definitions],
    rows: objects.map((object) => ({
      cells: [object.metadata.name, ...columns.map(({ cell }) => cell(object, now))],
      ...(include !== 'None' && { object: include === 'Object' ? object : toPartial(object) }),
    })),
  };
}

/** meta.k8s.io/v1 PartialObjectMetadata. */
export function toPartial({ metadata }: APIObject): Readonly<Record<string, unknown>> {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

function subject(spec: APIObject['spec']): string {
  const { type, issuer, sub } = spec['subject'] as {
    readonly type: string;
    readonly issuer: string;
    readonly sub: string;
  };
  return type === 'user' ? `${issuer}:${sub}` : 'itself';
}

function age(created: string, now: number): string {
  return duration(now - Date.parse(created));
}

function left(until: unknown, now: number): string {
  if (typeof until !== 'string') return '';
  const milliseconds = Date.parse(until) - now;
  return milliseconds <= 0 ? 'over' : duration(milliseconds);
}

/** As Kubernetes shows ages: the two largest units while they are small. */
function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
