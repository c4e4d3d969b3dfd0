/** When a token is good: the one rule of time for every verifier. */

/** How far clocks may disagree, in seconds. */
export const CLOCK_SKEW = 5;

export type TimeProblem = 'expired' | 'not_yet';

/** Good in [start − skew, exp + skew). `exp` and `starts` (iat, nbf) in Unix seconds, `nowMs` in milliseconds. */
export function checkTimes(
  exp: number,
  starts: readonly (number | undefined)[],
  nowMs: number,
): TimeProblem | undefined {
  const now = nowMs / 1000;
  if (!(now < exp + CLOCK_SKEW)) return 'expired';
  return starts.every((start) => start === undefined || start <= now + CLOCK_SKEW) ? undefined : 'not_yet';
}
