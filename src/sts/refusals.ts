/** Evidence of refusals that never became a decision: a record and a log line each, so many a minute at most. */
import { uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import type { Store } from '../store/store.ts';
import type { ServedZone } from './configuration.ts';
import type { OAuthError } from './errors.ts';
import type { Limiter } from './limits.ts';
import type { Log } from './ports.ts';

export interface RefusalPorts {
  readonly store: Pick<Store, 'commit'>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** Unauthenticated callers must not fill the disk. */
  readonly budget: Limiter;
  /** Counts what the budget left unrecorded. */
  onUnrecorded(): void;
}

const RECORDS_PER_MINUTE = 3000;

/** Never throws: the refusal stands whether or not it could be recorded. */
export async function recordRefusal(
  error: OAuthError,
  requestID: string,
  zone: ServedZone | undefined,
  ports: RefusalPorts,
): Promise<void> {
  const { evidence } = error.details;
  const members = {
    request_id: requestID,
    error: error.code,
    status: error.status,
    ...(zone && { zone: zone.snapshot.id }),
    ...(evidence !== undefined && { evidence }),
  };
  const isRecorded = zone !== undefined && ports.budget.take('refusals', RECORDS_PER_MINUTE) === undefined;
  // What the answer keeps to itself must be told where `caracal up` runs, which logs from `warn` on.
  if (isRecorded && evidence === undefined) ports.log.info(members, 'refused');
  else ports.log.warn(members, 'refused');
  if (!isRecorded) return ports.onUnrecorded();
  const now = ports.clock.now();
  const { uid, id } = zone.snapshot;
  try {
    await ports.store.commit({
      decision: {
        id: uuidv7(now, ports.randomBytes),
        zoneUID: uid,
        zoneID: id,
        at: now,
        requestID,
        kind: 'refusal',
        outcome: 'error',
        epoch: zone.epoch,
        error: error.code,
      },
    });
  } catch (failure) {
    ports.onUnrecorded();
    ports.log.error(
      { request_id: requestID, error: failure instanceof Error ? failure.message : '' },
      'refusal not recorded',
    );
  }
}
