/** Ends what has come to its end by time, twice a second, so that a mandate stops with the session and not some seconds after. */
import { endExpired } from '../../authority/agents/expiry.ts';
import type { Clock } from '../../authority/clock.ts';
import type { Configuration } from '../configuration.ts';
import type { Log } from '../ports.ts';
import { toActRecord, type ActPorts } from './act.ts';
import type { Runtimes } from './runtimes.ts';

export interface ExpiryPorts extends ActPorts {
  readonly configuration: Pick<Configuration, 'zones'>;
  readonly runtimes: Runtimes;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 500;

export function createExpiry(ports: ExpiryPorts): { start(): void; close(): void } {
  let timer: NodeJS.Timeout | undefined;
  let sweeping = false;
  const sweep = async (): Promise<void> => {
    if (sweeping) return;
    sweeping = true;
    for (const zone of [...ports.configuration.zones().values()]) {
      if (!endExpired(zone.runtime, ports.clock.now())) continue;
      try {
        await ports.runtimes.write(zone.snapshot.uid, (view) => {
          const cascade = endExpired(view, ports.clock.now());
          if (!cascade) return { type: 'answer', value: undefined };
          const { sessions, edges, change } = cascade;
          const puts = [...sessions, ...edges];
          const decision = toActRecord(zone, { name: 'expired', by: 'time', puts, requestID: 'time' }, ports);
          return { type: 'commit', commit: { decision, runtime: { puts, change } }, value: undefined };
        });
      } catch (error) {
        const members = { zone: zone.snapshot.id, error: error instanceof Error ? error.message : '' };
        ports.log.error(members, 'what expired could not be ended; it is tried again');
      }
    }
    sweeping = false;
  };
  return {
    start: () => void (timer = setInterval(() => void sweep(), EVERY_MS).unref()),
    close: () => clearInterval(timer),
  };
}
