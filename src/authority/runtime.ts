/** The runtime state of a zone: objects that come and go while agents run, and the one form in which they are written. */
import type { AgentSession, DelegationEdge } from './agents/model.ts';
import type { AuthorityChange } from './feed.ts';
import type { Challenge } from './stepUp/challenge.ts';

/** The answer to a request that carried an Idempotency-Key: told again to whoever sends the same one. */
export interface IdempotentAnswer {
  readonly kind: 'idempotentAnswer';
  /** The application, what was called and the key: an unambiguous tuple as JSON. */
  readonly id: string;
  /** Hex SHA-256 of the request's body. */
  readonly bodyDigest: string;
  readonly answer: Readonly<Record<string, unknown>>;
  /** Unix seconds, exclusive. */
  readonly expiresAt: number;
}

/** A zone's id among its own runtime objects: there is one freeze. */
export const FREEZE_ID = 'zone';

/** A freeze by command: it holds beside `Zone.spec.freeze`, and each is lifted where it was set. */
export interface ZoneFreeze {
  readonly kind: 'zoneFreeze';
  readonly id: typeof FREEZE_ID;
  readonly status: 'frozen' | 'lifted';
  readonly reason: string;
  /** Who set or lifted it: `operator:<user name>`. */
  readonly by: string;
  /** Unix milliseconds. */
  readonly at: number;
}

export type RuntimeObject = AgentSession | DelegationEdge | Challenge | IdempotentAnswer | ZoneFreeze;

/** All that one decision changes: it happens whole, or not at all. */
export interface RuntimeWrite {
  /** Sequence of the zone's runtime state that it was decided under; after any other write it does not happen. */
  readonly expected: number;
  /** Each whole, as it is from now on. */
  readonly puts: readonly RuntimeObject[];
  /** Authority was taken away: the zone's epoch rises in the same transaction. */
  readonly change?: AuthorityChange;
}

/** One write as every replica learns of it, in order and without a gap. */
export interface RuntimeEntry {
  readonly sequence: number;
  readonly puts: readonly RuntimeObject[];
  /** The epoch that was raised with it. */
  readonly raised?: { readonly epoch: number; readonly change: AuthorityChange };
}
