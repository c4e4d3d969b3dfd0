/** What the STS needs from outside: configuration, signing keys, the cluster's workloads, policy, and what is durable. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule, PublicJWK } from '../authority/snapshot.ts';
import type { WorldSource } from '../compiler/world.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { PolicyExplanation } from '../policy/explain.ts';
import type { Store } from '../store/store.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';

/** Private halves of a zone's keys; changes are announced by the WorldSource (KeySet is one of its kinds). */
export interface SigningKeySource {
  keys(zoneUID: string): readonly PrivateZoneKey[];
}

/** What a verified ServiceAccount token says of its holder (`kubernetes.io` claim). */
export interface Workload {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUID: string;
  readonly pod: string;
  readonly podUID: string;
}

/** The cluster's ServiceAccount issuer and which of its workloads are alive. */
export interface WorkloadDirectory {
  /** The `iss` of ServiceAccount tokens, byte for byte. */
  issuer(): string;
  /** The issuer's public keys as last fetched; empty until the first fetch. */
  keys(): readonly PublicJWK[];
  /** `unknown`: the directory cannot tell now (API server gone) and has not seen these UIDs alive: refuse. */
  alive(workload: Workload): 'alive' | 'gone' | 'unknown';
}

/** One line per event: a constant message, and members that never hold a token or a secret. */
export interface Log {
  info(members: Readonly<Record<string, unknown>>, message: string): void;
  warn(members: Readonly<Record<string, unknown>>, message: string): void;
  error(members: Readonly<Record<string, unknown>>, message: string): void;
}

export interface STSPorts {
  readonly source: WorldSource;
  readonly signingKeys: SigningKeySource;
  readonly workloads: WorkloadDirectory;
  readonly policies: PolicyEngine;
  readonly store: Store;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** What each policy says of one input, and which of its rules; absent where nobody is told. */
  readonly explain?: (modules: readonly PolicyModule[], input: PolicyInput) => Promise<readonly PolicyExplanation[]>;
}
