/** Gathers OPA's results in the background: a slow policy never holds up the verdicts on other objects. */
import type { World } from '../compiler/world.ts';
import type { PolicyResults } from '../policy/results.ts';

/** OPA's verdicts on policies: `gather` asks for what is not known yet, `results` holds what is. */
export interface PolicyChecks {
  gather(world: World): Promise<void>;
  readonly results: PolicyResults;
}

export interface GathererPorts {
  readonly checker: PolicyChecks;
  monotonic(): number;
  pause(ms: number): Promise<void>;
  wake(): void;
  wakeAt(at: number, now: number): void;
  onFailure(error: unknown): void;
}

export interface Gatherer {
  /** Resolves when all results for this world are there, or after a short while. */
  gather(world: World): Promise<void>;
  /** Whether results are still to come. */
  isWaiting(): boolean;
  /** Whether results came since this was last asked. */
  takeNews(): boolean;
  idle(): Promise<void>;
}

/** How long a round waits before it compiles without the results that are still missing. */
const PATIENCE_MS = 25;
const RETRY_MS = 5_000;

export function createGatherer(ports: GathererPorts): Gatherer {
  let gathered: World | undefined;
  let gathering: Promise<void> | undefined;
  let retryAt = -Infinity;
  let hasNews = false;
  let isAwaited = false;

  const ask = async (world: World): Promise<void> => {
    try {
      await ports.checker.gather(world);
      gathered = world;
    } catch (error) {
      retryAt = ports.monotonic() + RETRY_MS;
      ports.onFailure(error);
    }
    gathering = undefined;
    hasNews = true;
    if (!isAwaited) ports.wake();
  };
  return {
    async gather(world) {
      const now = ports.monotonic();
      if (gathered === world) return;
      if (now < retryAt) return ports.wakeAt(retryAt, now);
      gathering ??= ask(world);
      isAwaited = true;
      await Promise.race([gathering, ports.pause(PATIENCE_MS)]);
      isAwaited = false;
    },
    isWaiting: () => gathering !== undefined,
    takeNews() {
      const news = hasNews;
      hasNews = false;
      return news;
    },
    async idle() {
      await gathering;
    },
  };
}
