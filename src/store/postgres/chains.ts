/** The log as this writer continues it: chains of its own, whose heads it knows without asking, and checkpoints over them. */
import { toCheckpointText } from '../../audit/checkpoint.ts';
import { ROOT, type Head } from '../../audit/entry.ts';
import { signNote, type NoteSigner } from '../../audit/note.ts';
import { insertAll, type Columns } from './rows.ts';
import type { Session, Sessions } from './sessions.ts';

export interface Chains {
  /** Those of these zones, which are locked. Throws where the database has another log than was written. */
  heads(session: Session, zoneUIDs: readonly string[]): Promise<ReadonlyMap<string, Head>>;
  /** The heads are written. */
  advance(heads: ReadonlyMap<string, Head>): void;
  /** The heads are written, or none of them is: the database did not say. */
  doubt(heads: ReadonlyMap<string, Head>): void;
  /** Signs each chain that has grown since its last checkpoint. */
  sign(sessions: Pick<Sessions, 'tend'>, now: number): Promise<void>;
}

/** `writer`: this life of this process in this life of the database; no other ever has the same. */
export function createChains(writer: string, signer: NoteSigner): Chains {
  const known = new Map<string, Head>();
  const doubted = new Map<string, Head>();
  const unsigned = new Set<string>();
  const settle = (zoneUID: string, head: Head): void => {
    doubted.delete(zoneUID);
    if (known.get(zoneUID)?.hash === head.hash || head.size === 0) return;
    known.set(zoneUID, head);
    unsigned.add(zoneUID);
  };
  const signUnsigned = async (sessions: Pick<Sessions, 'tend'>, now: number): Promise<void> => {
    // What is in doubt is signed once it was looked at, with the next write of its zone.
    const zones = [...unsigned].filter((zoneUID) => !doubted.has(zoneUID));
    if (zones.length === 0) return;
    const signed = zones.map((zoneUID) => ({ zoneUID, writer, ...known.get(zoneUID)! }));
    await sessions.tend((session) => insertCheckpoints(session, signed, signer, now));
    for (const { zoneUID, hash } of signed) if (known.get(zoneUID)!.hash === hash) unsigned.delete(zoneUID);
  };
  let signing: Promise<unknown> = Promise.resolve();
  return {
    async heads(session, zoneUIDs) {
      for (const zoneUID of zoneUIDs.filter((one) => doubted.has(one))) {
        const before = known.get(zoneUID) ?? ROOT;
        settle(zoneUID, await resolveDoubt(session, { zoneUID, writer }, before, doubted.get(zoneUID)!));
      }
      return known;
    },
    advance(heads) {
      for (const [zoneUID, head] of heads) settle(zoneUID, head);
    },
    doubt(heads) {
      for (const [zoneUID, head] of heads) if (known.get(zoneUID)?.hash !== head.hash) doubted.set(zoneUID, head);
    },
    sign(sessions, now) {
      // One after the other: a later number never covers less.
      const signed = signing.then(() => signUnsigned(sessions, now));
      signing = signed.catch(() => undefined);
      return signed;
    },
  };
}

interface ChainID {
  readonly zoneUID: string;
  readonly writer: string;
}

/** The zone is locked, so that the commit that was in doubt is over by now. */
async function resolveDoubt(session: Session, { zoneUID, writer }: ChainID, before: Head, after: Head): Promise<Head> {
  const { rows } = await session.query(
    'SELECT position, hash FROM decisions WHERE zone_uid = $1 AND writer = $2 ORDER BY position DESC LIMIT 1',
    [zoneUID, writer],
  );
  const row = rows[0] as { position: string; hash: string } | undefined;
  const found: Head = row ? { size: Number(row.position), hash: row.hash } : ROOT;
  const same = [before, after].find(({ size, hash }) => size === found.size && hash === found.hash);
  if (same) return same;
  throw new Error(
    `the log of zone ${zoneUID} is not the one that was written, at record ${found.size}: keep the database as evidence`,
  );
}

const CHECKPOINT: Columns = { writer: 'text', number: 'bigint', zone_uid: 'text', size: 'bigint', note: 'text' };

/** Of chains of one writer. */
export async function insertCheckpoints(
  session: Session,
  heads: readonly (ChainID & Head)[],
  signer: NoteSigner,
  at: number,
): Promise<void> {
  const { writer } = heads[0]!;
  const { rows } = await session.query('SELECT max(number) AS number FROM checkpoints WHERE writer = $1', [writer]);
  const last = Number((rows[0] as { number: string | null }).number ?? 0);
  const notes = heads.map((head, index) => {
    const number = last + index + 1;
    const note = signNote(toCheckpointText({ ...head, number, at }), signer);
    return [writer, number, head.zoneUID, head.size, note];
  });
  await insertAll(session, 'checkpoints', CHECKPOINT, notes);
}
