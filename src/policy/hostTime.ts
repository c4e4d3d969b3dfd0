/** The `time.*` builtins that need no clock, in UTC, on int64 nanoseconds as OPA has them. */
import type { Term } from './terms.ts';

const NANOSECONDS = 1_000_000_000n;
const MAX = 9223372036854775807n;
const STRICT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;
const LOOSE = /^\d{4}-\d\d-\d\dT\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Nanoseconds since 1970 of an RFC 3339 time, or undefined where OPA says it is none. Throws RangeError for spellings
 * that Go accepts beyond RFC 3339, since what they mean is not proven equal.
 */
export function parseRFC3339(text: string): bigint | undefined {
  const match = STRICT.exec(text);
  if (!match) {
    if (LOOSE.test(text)) throw new RangeError('time.parse_rfc3339_ns: write the time exactly as RFC 3339 has it');
    return undefined;
  }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const offset = (match[8] === '-' ? 1 : -1) * (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0));
  const seconds = BigInt(utcMilliseconds(year, month, day, hour, minute + offset, second) / 1000);
  const nanoseconds = seconds * NANOSECONDS + BigInt((match[7] ?? '').padEnd(9, '0'));
  return nanoseconds > MAX || nanoseconds < -MAX - 1n ? undefined : nanoseconds;
}

/** Date.UTC reads years below 100 as 19xx. */
function utcMilliseconds(year: number, month: number, ...rest: readonly [number, number, number, number]): number {
  const [day, hour, minute, second] = rest;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime();
}

function daysIn(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

const UTC: Term = { type: 'string', value: 'UTC' };

/** What could name a location of the time zone database. */
const LOCATION = /^(?:[A-Z][\w+\-/]*|(?:posix|right)\/.*|localtime|posixrules|)$/;

/**
 * The operand of time.clock, time.date, time.weekday: an integer, `[integer]` or `[integer, "UTC"]`. Undefined where OPA says it is
 * neither. Throws RangeError for what OPA reads and we do not.
 */
export function toInstant(term: Term): Date | undefined {
  if (term.type === 'array') {
    const [nanoseconds, zone = UTC, layout = UTC] = term.items;
    if (nanoseconds?.type !== 'number' || zone.type !== 'string' || layout.type !== 'string') return undefined;
    if (!LOCATION.test(zone.value)) return undefined;
    if (zone.value !== 'UTC' && zone.value !== '') throw new RangeError('time functions know no time zone but UTC');
    return toInstant(nanoseconds);
  }
  if (term.type !== 'number' || /^-?\d+\.\d*[1-9]\d*$/.test(term.text)) return undefined;
  if (!/^-?\d+$/.test(term.text)) throw new RangeError('time functions take whole nanoseconds');
  const value = BigInt(term.text);
  if (value > MAX || value < -MAX - 1n) return undefined;
  return new Date(Number((value - (((value % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n));
}

export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
