/** Instants and durations written in specs, and the next instant at which something changes. */
import { isDuration, parseDuration } from '../api/duration.ts';

/** RFC 3339 → Unix seconds, fractions cut. What cannot be read has passed: NaN would compare as neither. */
export function parseEnd(text: string): number {
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}

/** RFC 3339 → Unix seconds, fractions rounded up. What cannot be read never comes. */
export function parseStart(text: string): number {
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? Number.POSITIVE_INFINITY : Math.ceil(milliseconds / 1000);
}

/** "15m" → milliseconds. What cannot be read lasts no time: one bad object must not stop a compile, nor live longer. */
export function parseSpan(text: string): number {
  return isDuration(text) ? parseDuration(text) : 0;
}

/** Collects future instants and keeps the earliest. */
export interface NextChange {
  /** Unix milliseconds. */
  add(at: number): void;
  earliest(): number | undefined;
}

export function createNextChange(now: number): NextChange {
  let earliest = Number.POSITIVE_INFINITY;
  return {
    add(at) {
      if (at > now && at < earliest) earliest = at;
    },
    earliest: () => (Number.isFinite(earliest) ? earliest : undefined),
  };
}
