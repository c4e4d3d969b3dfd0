/** Asks the STS replicas at the right times: often while something new waits to be served, else for counts and losses. */
import { NOT_OBSERVED, type Observed } from './observed.ts';
import type { ReplicaObserver } from './ports.ts';

export interface ObservingPorts {
  readonly observer: ReplicaObserver;
  monotonic(): number;
  wake(): void;
  wakeAt(at: number, now: number): void;
  /** `replicas` undefined: one could not be asked. */
  onObserved(replicas: number | undefined): void;
  /** A replica could not be asked; called once for each new reason, and with undefined when all could be again. */
  onProblem(reason: string | undefined): void;
}

export interface Observing {
  present(): Observed;
  /** Asks now, or wakes when it is time. `waitingSince`: the newest object that waits to be served. */
  schedule(waitingSince: number | undefined): void;
  forget(): void;
  idle(): Promise<void>;
}

export const IDLE_EVERY_MS = 10_000;

export function createObserving(ports: ObservingPorts): Observing {
  let observed = NOT_OBSERVED;
  let asking: Promise<void> | undefined;
  let problem: string | undefined;

  const tell = (reason: string | undefined): void => {
    if (reason !== problem) ports.onProblem(reason);
    problem = reason;
  };

  const ask = async (askedAt: number): Promise<void> => {
    let reports: Observed['reports'];
    try {
      reports = await ports.observer.observe();
      tell(undefined);
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error));
    }
    observed = { reports, askedAt };
    asking = undefined;
    ports.onObserved(reports?.length);
    ports.wake();
  };
  return {
    present: () => observed,
    schedule(waitingSince) {
      if (asking !== undefined) return;
      const now = ports.monotonic();
      const next = observed.askedAt + interval(waitingSince === undefined ? undefined : now - waitingSince);
      if (now < next) ports.wakeAt(next, now);
      else asking = ask(now);
    },
    forget() {
      observed = NOT_OBSERVED;
    },
    async idle() {
      await asking;
    },
  };
}

function interval(waitedMs: number | undefined): number {
  if (waitedMs === undefined) return IDLE_EVERY_MS;
  if (waitedMs < 1_000) return 20;
  return waitedMs < 10_000 ? 200 : 1_000;
}
