/** Requests under way: looked at by timer, so that a stream ends with its mandate though nothing moves on it. */
import type { Clock } from '../authority/clock.ts';
import type { Admission } from './admit.ts';
import type { ForwardedRequest } from './forward.ts';

export interface ActiveRequests {
  /** Returns what removes it again. */
  add(admission: Admission, forwarded: ForwardedRequest): () => void;
  size(): number;
  /** Resolves when none is left, or after `milliseconds`, when what is left is cut. */
  drain(milliseconds: number): Promise<void>;
  close(): void;
}

const LOOK_EVERY_MS = 500;
/** What an ordinary answer in flight gets after its mandate ended. */
const GRACE_MS = 60_000;
/** How long nothing may move that has a length: a body that the client sends, or an answer. */
const STALLED_MS = { client: 60_000, upstream: 120_000 } as const;

interface Active {
  readonly admission: Admission;
  readonly forwarded: ForwardedRequest;
  /** Monotonic milliseconds since which its mandate is over. */
  overSince: number | undefined;
  moved: number;
  movedAt: number;
  asking: boolean;
}

export function createActiveRequests(clock: Clock, onCut: () => void): ActiveRequests {
  const active = new Set<Active>();
  let onIdle: (() => void) | undefined;

  const look = (): void => {
    for (const one of active) {
      if (isStalled(one)) one.forwarded.cut();
      else if (!one.asking) void judge(one);
    }
  };
  const isStalled = (one: Active): boolean => {
    const { forwarded } = one;
    const [moved, now] = [forwarded.moved(), clock.monotonic()];
    if (moved !== one.moved) {
      one.moved = moved;
      one.movedAt = now;
      return false;
    }
    const awaited = forwarded.waitsFor();
    if (awaited === undefined || (awaited === 'upstream' && forwarded.isStream())) return false;
    return now - one.movedAt > STALLED_MS[awaited];
  };
  const judge = async (one: Active): Promise<void> => {
    one.asking = true;
    try {
      if (one.overSince === undefined && (await isOver(one.admission))) one.overSince = clock.monotonic();
    } finally {
      one.asking = false;
    }
    if (one.overSince === undefined || !active.has(one)) return;
    if (!one.forwarded.isStream() && clock.monotonic() - one.overSince < GRACE_MS) return;
    onCut();
    one.forwarded.cut();
  };
  /** Expired, taken away, or nobody can prove that it is not. */
  const isOver = async ({ claims, token, zone }: Admission): Promise<boolean> => {
    if (clock.now() >= claims.exp * 1000 || !zone.isFresh() || zone.isFrozen()) return true;
    return (await zone.standing(claims, token)) === 'ended';
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();

  return {
    add(admission, forwarded) {
      const one: Active = {
        ...{ admission, forwarded, overSince: undefined, asking: false },
        ...{ moved: 0, movedAt: clock.monotonic() },
      };
      active.add(one);
      return () => {
        active.delete(one);
        if (active.size === 0) onIdle?.();
      };
    },
    size: () => active.size,
    async drain(milliseconds) {
      if (active.size === 0) return;
      await new Promise<void>((resolve) => {
        const over = setTimeout(resolve, milliseconds);
        onIdle = () => {
          clearTimeout(over);
          resolve();
        };
      });
      for (const { forwarded } of active) forwarded.cut();
    },
    close: () => clearInterval(timer),
  };
}
