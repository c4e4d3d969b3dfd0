/** Go-style durations such as "15m" or "1h30m", as every duration field of our kinds writes them. */

/** One or more decimal numbers, each with its unit: the form that fields, flags and CEL rules share. */
export const DURATION_PATTERN = '^([0-9]+([.][0-9]+)?(ms|s|m|h))+$';

const DURATION = new RegExp(DURATION_PATTERN);
const TERM = /([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g;
const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Longer than any duration that makes sense; keeps a hostile string from being worked on. */
const MAX_LENGTH = 32;

export function isDuration(text: string): boolean {
  return text.length <= MAX_LENGTH && DURATION.test(text);
}

/** Milliseconds. Throws a RangeError that names the form where `text` is no duration. */
export function parseDuration(text: string): number {
  if (!isDuration(text)) {
    throw new RangeError(
      `"${text.slice(0, 64)}" is no duration: write numbers with units ms, s, m or h, such as 15m or 1h30m`,
    );
  }
  const terms = [...text.matchAll(TERM)].map(([, amount, unit]) => Number(amount) * toMilliseconds(unit!));
  return Math.round(terms.reduce((sum, term) => sum + term, 0));
}

function toMilliseconds(unit: string): number {
  return MILLISECONDS[unit as keyof typeof MILLISECONDS];
}
