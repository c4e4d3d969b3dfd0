/** Ends what was started, last first, each step whatever became of the others. */

export interface Closing {
  add(close: () => Promise<void>): void;
  /** The same thing, now closed with the rest. */
  closes<T extends { close(): Promise<void> }>(thing: T): T;
  /** Rejects with the first error, after every step. */
  close(): Promise<void>;
}

export function createClosing(): Closing {
  const steps: (() => Promise<void>)[] = [];
  const add = (close: () => Promise<void>) => void steps.push(close);
  return {
    add,
    closes(thing) {
      add(() => thing.close());
      return thing;
    },
    async close() {
      const errors: unknown[] = [];
      for (let step = steps.pop(); step; step = steps.pop()) await step().catch((error: unknown) => errors.push(error));
      if (errors.length > 0) throw errors[0];
    },
  };
}
