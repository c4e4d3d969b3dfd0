/** Group commit: what arrives in one turn of the event loop, or while a group is on its way to the disk, goes together. */
import { StoreUnavailable } from './store.ts';

export interface Groups<Item, Outcome> {
  /** Rejects with StoreUnavailable when too many wait. */
  add(item: Item): Promise<Outcome>;
  /** Resolves when nothing is waiting or on its way. */
  drained(): Promise<void>;
}

export interface GroupOptions<Item, Outcome> {
  /** How many may wait beyond the group on its way. */
  readonly maxWaiting: number;
  readonly maxGroup: number;
  /** Whether those that wait behind a group that could not be sent are refused with it. */
  readonly failsTogether?: boolean;
  /** Makes one group durable: an outcome for each item, in order, or rejects for all. */
  send(items: readonly Item[]): Promise<readonly Outcome[]>;
}

interface Waiting<Item, Outcome> {
  readonly item: Item;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

export function createGroups<Item, Outcome>(options: GroupOptions<Item, Outcome>): Groups<Item, Outcome> {
  const waiting: Waiting<Item, Outcome>[] = [];
  const idle: (() => void)[] = [];
  let busy = false;

  const pump = (): void => {
    if (busy) return;
    if (waiting.length === 0) {
      for (const resolve of idle.splice(0)) resolve();
      return;
    }
    busy = true;
    // After all that this turn reads from its sockets: a sync of the disk costs the same for one write as for many.
    setImmediate(() => void send());
  };

  const send = async (): Promise<void> => {
    const failure = await sendGroup(waiting.splice(0, options.maxGroup), options);
    busy = false;
    if (failure && options.failsTogether) for (const { reject } of waiting.splice(0)) reject(failure.error);
    pump();
  };

  return {
    add(item) {
      if (waiting.length >= options.maxWaiting) {
        return Promise.reject(new StoreUnavailable(`${options.maxWaiting} writes are waiting for the disk`));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        pump();
      });
    },
    drained: () =>
      new Promise((resolve) => {
        idle.push(resolve);
        pump();
      }),
  };
}

async function sendGroup<Item, Outcome>(
  group: readonly Waiting<Item, Outcome>[],
  { send }: Pick<GroupOptions<Item, Outcome>, 'send'>,
): Promise<{ readonly error: unknown } | undefined> {
  // Never rejects: each item has its own promise.
  try {
    const outcomes = await send(group.map(({ item }) => item));
    group.forEach(({ resolve }, index) => resolve(outcomes[index]!));
    return undefined;
  } catch (error) {
    group.forEach(({ reject }) => reject(error));
    return { error };
  }
}
