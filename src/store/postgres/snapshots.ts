/** Reads of one moment, each of which notices a database that went back. */
import { newHead, type ZoneHead } from '../zoneHead.ts';
import type { Context } from './context.ts';
import { checkLife } from './life.ts';
import { readClock, readHead, readHeads } from './reads.ts';
import type { Session } from './sessions.ts';

export interface Snapshots {
  zone<T>(zoneUID: string, read: (session: Session, head: ZoneHead) => Promise<T>): Promise<T>;
  /** Of the zones that have an epoch or a runtime write. */
  heads(): Promise<readonly ZoneHead[]>;
  /** How far the clock of the database is ahead of ours, as of the last `heads`. */
  clockSkewMs(): number;
}

export function createSnapshots({ sessions, seal, incarnation, reached, clock }: Context): Snapshots {
  let skew = 0;
  const zone: Snapshots['zone'] = (zoneUID, read) => {
    const before = reached.known();
    return sessions.read(async (session) => {
      const [head] = await Promise.all([readHead(session, seal, zoneUID), checkLife(session, incarnation)]);
      reached.note([head], before);
      return read(session, head);
    });
  };

  const heads: Snapshots['heads'] = () => {
    const before = reached.known();
    return sessions.read(async (session) => {
      const asked = clock.now();
      const reads = [readClock(session), readHeads(session, seal), checkLife(session, incarnation)] as const;
      const [now, found] = await Promise.all(reads);
      skew = Math.round(now - (asked + clock.now()) / 2);
      const byZone = new Map(found.map((head) => [head.zoneUID, head]));
      const gone = [...before.keys()].filter((zoneUID) => !byZone.has(zoneUID)).map(newHead);
      reached.note([...byZone.values(), ...gone], before);
      return found.filter(({ epoch, sequence }) => epoch + sequence > 0);
    });
  };

  return { zone, heads, clockSkewMs: () => skew };
}
