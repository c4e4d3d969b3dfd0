/** Runs a round when something woke it: one at a time, any number of wakes during a round make one more. */

export interface Waker {
  wake(): void;
  /** Wakes at `at`; of several instants the earliest counts until the next round. Monotonic milliseconds. */
  wakeAt(at: number, now: number): void;
  /** Resolves after `ms`, or at once when closed. */
  pause(ms: number): Promise<void>;
  /** Wakes for the first time and resolves after that round; a wake before it is forgotten. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** setTimeout takes at most about 24 days; waking an hour too often costs nothing. */
const LONGEST_MS = 3_600_000;

export function createWaker(round: () => Promise<void>, onError: (error: unknown) => void): Waker {
  const timers = new Map<NodeJS.Timeout, () => void>();
  let isOn = false;
  let woken = false;
  let running: Promise<void> | undefined;
  let alarm: { readonly timer: NodeJS.Timeout; readonly at: number } | undefined;

  const isDue = () => isOn && woken;
  const run = async (): Promise<void> => {
    while (isDue()) {
      woken = false;
      clearAlarm();
      try {
        await round();
      } catch (error) {
        onError(error);
      }
    }
    running = undefined;
  };
  const clearAlarm = (): void => {
    clearTimeout(alarm?.timer);
    alarm = undefined;
  };
  const wake = (): void => {
    woken = true;
    if (isOn) running ??= run();
  };
  return {
    wake,
    wakeAt(at, now) {
      if (!isOn || (alarm !== undefined && alarm.at <= at)) return;
      clearAlarm();
      const timer = setTimeout(wake, Math.min(Math.max(0, Math.ceil(at - now)), LONGEST_MS));
      alarm = { timer, at };
    },
    pause: (ms) =>
      new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          timers.delete(timer);
          resolve();
        };
        const timer = setTimeout(end, ms);
        timers.set(timer, end);
      }),
    async start() {
      isOn = true;
      wake();
      await running;
    },
    async close() {
      isOn = false;
      clearAlarm();
      for (const end of [...timers.values()]) end();
      await running;
    },
  };
}
