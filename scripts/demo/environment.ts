/** What the story needs from the world it plays in: embedded in one process, or on a real Kubernetes API. */
import type { PublicJWK } from '../../src/authority/snapshot.ts';

export interface Environment {
  /** Base URL of the STS. */
  readonly issuer: string;
  /** `<namespace>.<name>`. */
  readonly zoneID: string;
  /** Base URL of the gateway in front of the orders service. */
  readonly gateway: string;
  /** A pod-bound token of the agent's ServiceAccount. */
  agentToken(audience: string): Promise<string>;
  /** What a person would type to take the Grant away, and the deed itself. */
  readonly deleteGrantCommand: string;
  deleteGrant(): Promise<void>;
  /** Where the second act plays. */
  readonly office: Office;
  /** The data folder of the STS, with its log. */
  readonly data: string;
  /** `caracal …` of an operator; absent where no runtime API is served. */
  readonly operator?: (args: readonly string[]) => Promise<string>;
  /** Things to look at before the story starts. */
  show(): Promise<readonly { readonly command: string; readonly output: string }[]>;
  close(): Promise<void>;
}

/** The zone of examples/agents, with a gateway in front of the payments service. */
export interface Office {
  readonly zoneID: string;
  readonly gateway: string;
  /** A pod-bound token of one of its ServiceAccounts. */
  token(account: string, audience: string): Promise<string>;
}

export interface EnvironmentOptions {
  /** The key of the demo's own identity provider, written into the Zone. */
  readonly identityProviderKey: PublicJWK;
  /** Base URL of the orders service that the gateway protects. */
  readonly service: URL;
  /** Base URL of the payments service, behind a gateway of its own. */
  readonly payments: URL;
  /** Says what takes long. */
  readonly say: (message: string) => void;
}
