/** What one exchange reaches: all of it in memory but the commit. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { IssuedDecision } from '../authority/decision.ts';
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { AuthorityRecord, Store } from '../store/store.ts';
import type { DPoPVerifier } from '../tokens/dpop.ts';
import type { SigningKey } from '../tokens/mint.ts';
import type { LRU } from '../tokens/lru.ts';
import type { SubjectPorts } from './authenticate/subject.ts';
import type { Configuration } from './configuration.ts';
import type { Limiter } from './limits.ts';
import type { Runtimes } from './runtime/runtimes.ts';

export interface ExchangePorts {
  /** The STS base URL. */
  readonly issuer: string;
  readonly configuration: Pick<Configuration, 'zone' | 'isKnown' | 'reached'>;
  readonly authentication: SubjectPorts;
  readonly policies: Pick<PolicyEngine, 'evaluate'>;
  readonly store: Pick<Store, 'commit'>;
  readonly runtimes: Pick<Runtimes, 'write' | 'refresh'>;
  /** The key that signs for the zone now. */
  signingKey(zone: ZoneSnapshot): SigningKey | undefined;
  readonly dpop: DPoPVerifier;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** By jti: what the store holds too, so that the hot path never asks it. */
  readonly decisions: LRU<IssuedDecision>;
  /** By sid, likewise. */
  readonly records: LRU<AuthorityRecord>;
  readonly mints: Limiter;
  readonly failures: Limiter;
}
