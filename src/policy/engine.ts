/** The port to policy evaluation: prepare a digest once, then evaluate inputs within bounds. */
import type { PolicyInput, PolicyOutcome } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';

export interface PolicyEngine {
  /** Compiles the set (or finds it in the cache) and loads it for the zone. Idempotent. */
  prepare(zoneUID: string, digest: string, modules: readonly PolicyModule[]): Promise<PreparedPolicy>;
  /**
   * One outcome per input, in order; one message per call. Never rejects: what goes wrong is a denying outcome
   * with `failure`. A digest that was not prepared for the zone is `unavailable`.
   */
  evaluate(zoneUID: string, digest: string, inputs: readonly PolicyInput[]): Promise<readonly PolicyOutcome[]>;
  close(): Promise<void>;
}

export type PreparedPolicy = { readonly ok: true } | { readonly ok: false; readonly message: string };
