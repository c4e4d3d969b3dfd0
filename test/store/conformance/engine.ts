/** What the conformance suite needs of an engine: empty places for a store, and a way past it. */
import type { EngineStore } from '../../../src/store/engineStore.ts';

export interface PlaceConfig {
  readonly clock?: { now(): number };
  readonly maxWaiting?: number;
  readonly checkpointMs?: number;
}

/** Where one store is: opened, closed and opened again. Gone when the test ends. */
export interface Place {
  open(config?: PlaceConfig): Promise<EngineStore>;
  /** As who may write the database and is stopped by nothing else. */
  tamper(statements: string): Promise<void>;
  /** As whoever is stopped by triggers. */
  exec(statements: string): Promise<void>;
  count(table: string): Promise<number>;
}

export interface Engine {
  readonly name: string;
  place(): Promise<Place>;
}

export const NOW = 1_800_000_000_000;
