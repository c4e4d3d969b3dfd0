/** What the runtime API is served from: objects in the order of their changes, and what operators do to them. */
import type { Plural } from './group.ts';
import type { APIObject } from './objects.ts';
import type { ListSpec, ReviewSpec } from './bodies.ts';

/** As the API server, or the local token, authenticated them. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface RuntimeEvent {
  /** Of the object from then on: one more for each change. */
  readonly version: number;
  readonly plural: Plural;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: APIObject;
}

export interface RuntimeObjects {
  /** By namespace and name; every namespace where none is given. */
  list(
    plural: Plural,
    namespace: string | undefined,
  ): { readonly version: number; readonly objects: readonly APIObject[] };
  get(plural: Plural, namespace: string, name: string): APIObject | undefined;
  /** What followed a version, oldest first; undefined where that is not known any more, or of another replica. */
  since(version: number): readonly RuntimeEvent[] | undefined;
  /** Returns the stop function. */
  onEvent(listener: (event: RuntimeEvent) => void): () => void;
}

export interface StepUpDecision {
  readonly approved: boolean;
  /** Of the challenge, as whoever decides has seen it. */
  readonly binding: string;
  readonly reason?: string;
}

/** Both ways to freeze a zone, each with its reason. */
export interface FreezeState {
  readonly spec?: { readonly reason: string };
  readonly command?: { readonly reason: string; readonly by: string; readonly at: number };
}

/** Who does it, and in which request. */
export interface Doing {
  readonly user: User;
  readonly requestID: string;
}

/** Each rejects with APIError. */
export interface RuntimeActs {
  /** Ends a session or revokes an edge, and what hangs on it. */
  end(plural: 'agentsessions' | 'delegationedges', namespace: string, name: string, doing: Doing): Promise<void>;
  decide(namespace: string, name: string, decision: StepUpDecision, doing: Doing): Promise<APIObject>;
  /** Undefined where the namespace has no such Zone. */
  freezeOf(namespace: string, zone: string): FreezeState | undefined;
  freeze(namespace: string, zone: string, reason: string, doing: Doing): Promise<FreezeState>;
  unfreeze(namespace: string, zone: string, doing: Doing): Promise<FreezeState>;
  review(namespace: string, spec: ReviewSpec): Promise<Readonly<Record<string, unknown>>>;
  /** Who may do what, by the Grants in force and the active policy set. */
  authorities(namespace: string, spec: ListSpec): Promise<Readonly<Record<string, unknown>>>;
}

export interface RuntimePorts {
  readonly objects: RuntimeObjects;
  readonly acts: RuntimeActs;
  /** Unix milliseconds. */
  now(): number;
}
