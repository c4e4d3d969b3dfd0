/** A bounded memory of what the store holds too, so that the hot path never asks the database: oldest used goes first. */

export interface Remembered<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
}

export function createRemembered<T>(maxEntries: number): Remembered<T> {
  const entries = new Map<string, T>();
  return {
    get(key) {
      const found = entries.get(key);
      if (found === undefined) return undefined;
      entries.delete(key);
      entries.set(key, found);
      return found;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size <= maxEntries) return;
      const oldest = entries.keys().next().value;
      if (oldest !== undefined) entries.delete(oldest);
    },
  };
}
