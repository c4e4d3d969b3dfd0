/** Ends sessions and edges that are over by time or have lost their ground, twice a second, so that their mandates stop with them. */
import { endExpired } from '../../authority/agents/expiry.ts';
import { endRevoked } from '../../authority/agents/revoked.ts';
import type { Cascade } from '../../authority/agents/cascade.ts';
import type { RuntimeAct } from '../../authority/decision.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import type { Log } from '../ports.ts';
import { toActRecord, type ActPorts } from './act.ts';
import type { Runtimes } from './runtimes.ts';

export interface SweepPorts extends ActPorts {
  readonly configuration: Pick<Configuration, 'zones'>;
  readonly runtimes: Pick<Runtimes, 'write' | 'forget'>;
  readonly log: Log;
}

interface Cause {
  readonly name: RuntimeAct['name'];
  readonly by: string;
  find(view: RuntimeView, zone: ServedZone, now: number): Cascade | undefined;
}

const CAUSES: readonly Cause[] = [
  { name: 'expired', by: 'time', find: (view, _zone, now) => endExpired(view, now) },
  { name: 'revoked', by: 'configuration', find: (view, { snapshot }, now) => endRevoked(view, snapshot, now) },
];

const EVERY_MS = 500;
/** Nobody waits for what is forgotten, and looking at all that is kept costs more than at what lives. */
const FORGET_EVERY_MS = 60_000;

export function createSweep(ports: SweepPorts): { start(): void; close(): void } {
  const { clock, configuration, log, runtimes } = ports;
  let timer: NodeJS.Timeout | undefined;
  let sweeping = false;
  let forgotAt = clock.now();

  const end = async (zone: ServedZone, { name, by, find }: Cause): Promise<void> => {
    if (!find(zone.runtime, zone, clock.now())) return;
    await runtimes.write(zone.snapshot.uid, (view) => {
      const cascade = find(view, zone, clock.now());
      if (!cascade) return { type: 'answer', value: undefined };
      const { sessions, edges, change } = cascade;
      const puts = [...sessions, ...edges];
      const decision = toActRecord(zone, { name, by, puts, requestID: by }, ports);
      return { type: 'commit', commit: { decision, runtime: { puts, change } }, value: undefined };
    });
  };
  const sweep = async (): Promise<void> => {
    if (sweeping) return;
    sweeping = true;
    const isForgetting = clock.now() - forgotAt >= FORGET_EVERY_MS;
    if (isForgetting) forgotAt = clock.now();
    for (const zone of [...configuration.zones().values()]) {
      try {
        for (const cause of CAUSES) await end(zone, cause);
        if (isForgetting) await runtimes.forget(zone.snapshot.uid, clock.now());
      } catch (error) {
        const members = { zone: zone.snapshot.id, error: error instanceof Error ? error.message : '' };
        log.error(members, 'what is over could not be ended; it is tried again');
      }
    }
    sweeping = false;
  };
  return {
    start: () => void (timer = setInterval(() => void sweep(), EVERY_MS).unref()),
    close: () => clearInterval(timer),
  };
}
