/** Asks the STS to spend a mandate of single use: one request each, bounded in time and number, never repeated in doubt. */
import type { Clock } from '../authority/clock.ts';
import type { ConsumeResponse } from '../authority/feed.ts';
import { createLRU } from '../tokens/lru.ts';
import { STSRefused, type STSClient } from './stsClient.ts';

/** `unknown`: no answer in time. It may be spent, so that nothing is admitted for it. */
export type Consumed = 'consumed' | 'used' | 'ended' | 'unknown';

export interface Consumption {
  consume(jti: string, token: string): Promise<Consumed>;
}

export interface ConsumptionPorts {
  readonly sts: Pick<STSClient, 'consume'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  epoch(): number;
}

const WAIT_MS = 1000;
const RETRY_MS = 50;
const MAX_WAITING = 2_000;
const REMEMBERED = 10_000;
/** This replica of the STS has not reached our epoch, and did nothing. */
const BEHIND = 409;
/** The policy could not be evaluated: that denies now, and leaves the mandate. */
const UNDECIDED = 'PolicyFailed';

export function createConsumption({ sts, clock, epoch }: ConsumptionPorts): Consumption {
  const spent = createLRU<true>(REMEMBERED);
  /** Questions under way, by jti: whoever comes meanwhile need not ask. */
  const pending = new Map<string, Promise<Consumed>>();

  /** Asked again only where the STS said that nothing happened: a lost answer may have been a yes. */
  const ask = async (token: string): Promise<ConsumeResponse | undefined> => {
    const deadline = clock.monotonic() + WAIT_MS;
    for (let left = WAIT_MS; left > 0; left = deadline - clock.monotonic()) {
      try {
        return await sts.consume({ mandate: token, min_epoch: epoch() }, Math.ceil(left));
      } catch (error) {
        if (!(error instanceof STSRefused) || error.status !== BEHIND) return undefined;
        await pause(RETRY_MS);
      }
    }
    return undefined;
  };

  const spend = async (jti: string, token: string): Promise<Consumed> => {
    const answer = await ask(token);
    if (!answer || answer.reason === UNDECIDED) return 'unknown';
    if (!answer.consumed && answer.reason !== 'used') return 'ended';
    spent.set(jti, true);
    return answer.consumed ? 'consumed' : 'used';
  };

  return {
    async consume(jti, token) {
      if (spent.get(jti)) return 'used';
      const first = pending.get(jti);
      if (first) return afterFirst(await first);
      if (pending.size >= MAX_WAITING) return 'unknown';
      const asked = spend(jti, token).finally(() => pending.delete(jti));
      pending.set(jti, asked);
      return asked;
    },
  };
}

/** What the question of another request about the same mandate says for this one. */
function afterFirst(first: Consumed): Consumed {
  return first === 'consumed' ? 'used' : first;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
