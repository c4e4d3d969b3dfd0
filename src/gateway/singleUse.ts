/** Mandates of single use: an admitted request spends one, a refused attempt leaves it. */
import type { MandateClaims } from '../authority/claims.ts';
import type { Admission } from './admit.ts';
import { refuse, type Refusal } from './refusal.ts';
import type { ServedResource } from './zoneState.ts';

/** With less the answer of a request that was just admitted may be cut off, and its mandate is spent. */
const LEAST_LIFE_MS = 35_000;

export function isSingleUse({ once }: MandateClaims, { resource }: ServedResource): boolean {
  return once === true || resource.single_use;
}

/** Of a request that is admitted but for this. */
export async function spend(admission: Admission, now: number): Promise<Admission | Refusal> {
  const { claims, token, zone } = admission;
  if (claims.exp * 1000 - now < LEAST_LIFE_MS)
    return refuse('credential_expired_not_renewable', 'a mandate of single use needs 35 s of life: get another');
  const consumed = await zone.consume(claims, token);
  switch (consumed) {
    case 'consumed':
      return zone.isFresh() && !zone.isFrozen() ? admission : UNKNOWN;
    case 'used':
      return refuse('invalid_token', 'the mandate was used before: it admits one request only');
    case 'ended':
      return refuse('invalid_token', 'the mandate is no longer in force: its authority was taken away');
    case 'unknown':
      return UNKNOWN;
  }
}

const UNKNOWN = refuse('sts_unavailable', 'the mandate could not be spent in time; it may be spent: get another', {
  retryAfter: 1,
});
