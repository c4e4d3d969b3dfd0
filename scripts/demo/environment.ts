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
  /** Things to look at before the story starts. */
  show(): Promise<readonly { readonly command: string; readonly output: string }[]>;
  close(): Promise<void>;
}

export interface EnvironmentOptions {
  /** The key of the demo's own identity provider, written into the Zone. */
  readonly identityProviderKey: PublicJWK;
  /** Base URL of the orders service that the gateway protects. */
  readonly service: URL;
  /** Says what takes long. */
  readonly say: (message: string) => void;
}
