/** Messages between the STS and a gateway: one zone's slice of the configuration, keys, epochs and proof of freshness. */
import type { Operation } from './snapshot.ts';

/** `event: config`: everything a gateway needs of its zone, only the Resources its ServiceAccount may serve. */
export interface FeedConfig {
  readonly zone_id: string;
  readonly zone_uid: string;
  readonly issuer: string;
  readonly stale_after_ms: number;
  readonly frozen: boolean;
  readonly epoch: number;
  readonly resources: readonly FeedResource[];
  /** Hex SHA-256 of the canonical JSON of the members above except `epoch`. */
  readonly digest: string;
}

export interface FeedResource {
  readonly identifier: string;
  readonly namespace: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly operations: readonly Operation[];
  readonly operation_enforcement: 'Declared' | 'Uniform';
  readonly forward_mandate: boolean;
  readonly single_use: boolean;
  readonly proof_of_possession: 'Optional' | 'Required';
  /** Present where an edge gateway may forward to it. */
  readonly upstream?: string;
}

/** `event: keys`: all keys that may have signed a live mandate, and every next one. */
export interface FeedKeys {
  readonly keys: readonly { readonly kid: string; readonly x: string; readonly y: string }[];
}

/** `event: epoch`: authority changed; only mandates it can touch need asking about. */
export interface FeedEpoch {
  readonly epoch: number;
  readonly change: AuthorityChange;
}

/** What changed between two snapshots of a zone. `all` touches every mandate. */
export interface AuthorityChange {
  readonly all: boolean;
  /** Application ids. */
  readonly applications: readonly string[];
  /** Resource identifiers. */
  readonly resources: readonly string[];
  /** Ids of agent sessions, anywhere in a chain. */
  readonly sessions?: readonly string[];
  /** Ids of delegation edges, anywhere in a chain. */
  readonly edges?: readonly string[];
}

/** `event: heartbeat`, every 2 s and at once after an acknowledgement that carries a nonce. */
export interface FeedHeartbeat {
  /** The nonce of the last acknowledgement, or null before the first. */
  readonly nonce: string | null;
  readonly epoch: number;
}

/** `POST /v1/feed/ack`. */
export interface FeedAck {
  /** Without it: every stream of this gateway in the zone. */
  readonly stream_id?: string | undefined;
  readonly cursor: string;
  /** Digest of the config that the gateway enforces now. */
  readonly digest: string;
  readonly nonce: string;
}

/** `event: hello`, first on each stream: names the stream that acknowledgements belong to. */
export interface FeedHello {
  readonly stream_id: string;
  /** Store incarnation: a new one ends all earlier mandates. */
  readonly incarnation: string;
}

/** `POST /v1/mandates/revalidate`. */
export interface RevalidateRequest {
  readonly mandates: readonly string[];
  readonly min_epoch: number;
}

export interface RevalidateResponse {
  /** The epoch under which the answers hold. */
  readonly epoch: number;
  /** In the order of the request: would each still be issued? */
  readonly results: readonly { readonly valid: boolean; readonly reason?: string }[];
}

/** `POST /v1/mandates/consume`: spends a mandate of single use for a request that is admitted but for this. */
export interface ConsumeRequest {
  readonly mandate: string;
  readonly min_epoch: number;
}

export interface ConsumeResponse {
  /** True for exactly one question about a mandate: it was in force, and spent by this one. */
  readonly consumed: boolean;
  /** Why not: `used`, or why it would not be issued any more, which leaves it. */
  readonly reason?: string;
  /** The epoch under which the answer holds. */
  readonly epoch: number;
}
