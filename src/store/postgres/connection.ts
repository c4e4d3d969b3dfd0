/** PostgreSQL as an engine: groups written under the locks of their zones, reads of one moment, and no waiting for a database that is gone. */
import type { Clock } from '../../authority/clock.ts';
import type { NoteSigner } from '../../audit/note.ts';
import type { Connection } from '../engineStore.ts';
import type { Method, Methods, Operation, Outcome } from '../protocol.ts';
import type { Seal } from '../seal.ts';
import { StoreUnavailable } from '../store.ts';
import { newHead, type ZoneHead } from '../zoneHead.ts';
import { applyPlan } from './apply.ts';
import { createChains } from './chains.ts';
import { forgetSome } from './forgetting.ts';
import { gatherFacts, HeadsMissing, insertHeads, zonesOf } from './gather.ts';
import { sendHint } from './hints.ts';
import { checkLife, createReached, DatabaseWentBack, endLife } from './life.ts';
import { planGroup, type Plan } from './plan.ts';
import {
  readAuthority,
  readClock,
  readDecision,
  readDecisions,
  readEntries,
  readHead,
  readHeads,
  readRevocations,
  readRuntime,
} from './reads.ts';
import { commit, type Session, type Sessions } from './sessions.ts';

export interface PostgresConnectionConfig {
  readonly sessions: Sessions;
  readonly seal: Seal;
  readonly signer: NoteSigner;
  readonly incarnation: string;
  /** Of the log: no other process has the same. */
  readonly writer: string;
  /** Of a database that is found to have gone back. */
  readonly nextIncarnation: () => string;
  readonly clock: Pick<Clock, 'now'>;
}

export interface PostgresConnection extends Connection {
  clockSkewMs(): number;
}

const FORGET_EVERY_MS = 60_000;

export function createPostgresConnection(config: PostgresConnectionConfig): PostgresConnection {
  const { sessions, seal, signer, incarnation, writer, clock } = config;
  const chains = createChains(writer, signer);
  const reached = createReached();
  let skew = 0;
  let forgetAt = 0;
  let forgetting: Promise<void> | undefined;
  let closed = false;

  /** As of one moment, in a zone that has not gone back. */
  const readZone = <T>(zoneUID: string, read: (session: Session, head: ZoneHead) => Promise<T>): Promise<T> => {
    const before = reached.known();
    return sessions.read(async (session) => {
      const [head] = await Promise.all([readHead(session, seal, zoneUID), checkLife(session, incarnation)]);
      reached.note([head], before);
      return read(session, head);
    });
  };

  const readAllHeads = async (): Promise<readonly ZoneHead[]> => {
    const before = reached.known();
    return sessions.read(async (session) => {
      const asked = clock.now();
      const reads = [readClock(session), readHeads(session, seal), checkLife(session, incarnation)] as const;
      const [now, found] = await Promise.all(reads);
      skew = Math.round(now - (asked + clock.now()) / 2);
      const heads = new Map(found.map((head) => [head.zoneUID, head]));
      const gone = [...before.keys()].filter((zoneUID) => !heads.has(zoneUID)).map(newHead);
      reached.note([...heads.values(), ...gone], before);
      return found.filter(({ epoch, sequence }) => epoch + sequence > 0);
    });
  };

  /** Zones whose head has a row. */
  const known = new Set<string>();
  const ensureHeads = async (operations: readonly Operation[]): Promise<void> => {
    const zones = zonesOf(operations).filter((zoneUID) => !known.has(zoneUID));
    if (zones.length === 0) return;
    await sessions.tend((session) => insertHeads(session, seal, zones));
    for (const zoneUID of zones) known.add(zoneUID);
  };

  const planIn = async (session: Session, operations: readonly Operation[], now: number): Promise<Plan> => {
    const before = reached.known();
    const [facts] = await Promise.all([gatherFacts(session, seal, operations), checkLife(session, incarnation)]);
    reached.note(facts.heads.values(), before);
    const logHeads = await chains.heads(session, [...facts.heads.keys()]);
    return planGroup({ ...facts, logHeads }, operations, { seal, writer, now });
  };

  const writeGroup = async (operations: readonly Operation[]): Promise<readonly Outcome[]> => {
    const now = clock.now();
    let plan: Plan | undefined;
    try {
      await ensureHeads(operations);
      plan = await sessions.write(async (session) => {
        plan = await planIn(session, operations, now);
        const hint = plan.moved.size > 0 ? sendHint(session) : undefined;
        await Promise.all([applyPlan(session, plan, { seal, writer, now }), hint, commit(session)]);
        return plan;
      });
    } catch (error) {
      // It may have been committed though its answer was lost.
      if (plan) chains.doubt(plan.logHeads);
      if (error instanceof HeadsMissing) known.clear();
      throw error;
    }
    chains.advance(plan.logHeads);
    reached.note(plan.heads.values(), new Map());
    return plan.outcomes;
  };

  /** What the database cannot take, such as a text with a NUL, is refused alone. */
  const write = async (operations: readonly Operation[]): Promise<readonly Outcome[]> => {
    try {
      return await writeGroup(operations);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (operations.length === 1) return [{ type: 'refused', message: error.message }];
      const outcomes: Outcome[] = [];
      for (const operation of operations) outcomes.push(...(await write([operation])));
      return outcomes;
    }
  };

  /** After the writes, and beside them: what is removed here may be removed later just as well. */
  const forgetSometimes = (): void => {
    const now = clock.now();
    if (forgetting || closed || now < forgetAt) return;
    forgetting = forgetSome(sessions, seal, now)
      .then((isMore) => void (forgetAt = isMore ? now : now + FORGET_EVERY_MS))
      .catch(() => void (forgetAt = now + FORGET_EVERY_MS))
      .finally(() => (forgetting = undefined));
    // Writes that came meanwhile asked in vain.
    void forgetting.then(forgetSometimes);
  };

  const answer = async (method: Method, request: Methods[Method]['request']): Promise<Methods[Method]['answer']> => {
    const asked = { method, request } as Asked;
    switch (asked.method) {
      case 'open':
        return incarnation;
      case 'write': {
        const outcomes = await write(asked.request.operations);
        forgetSometimes();
        return outcomes;
      }
      case 'checkpoint':
        await chains.sign(sessions, clock.now());
        return undefined;
      case 'heads':
        return readAllHeads();
      case 'zoneEpoch':
        return readZone(asked.request.zoneUID, async (_, { epoch, digest }) =>
          epoch === 0 ? undefined : { epoch, digest },
        );
      case 'authorityRecord':
        return sessions.read((session) => readAuthority(session, seal, asked.request));
      case 'revocations':
        return readZone(asked.request.zoneUID, (session, head) => readRevocations(session, seal, head));
      case 'runtime':
        return readZone(asked.request.zoneUID, (session, head) => readRuntime(session, seal, head));
      case 'runtimeEntries':
        return readZone(asked.request.zoneUID, (session, head) => readEntries(session, seal, head, asked.request));
      case 'decision':
      case 'decisionByJTI':
        return sessions.read((session) => readDecision(session, asked.method, asked.request));
      case 'decisions':
        return sessions.read((session) => readDecisions(session, asked.request));
      case 'close':
        return undefined;
    }
  };

  /** Whoever finds that the database went back tells all, in the database. */
  const tellWentBack = (): Promise<unknown> =>
    sessions.tend((session) => endLife(session, seal, config.nextIncarnation(), clock.now())).catch(() => undefined);

  return {
    async ask(method, request) {
      if (closed) throw new StoreUnavailable('the store is closed');
      try {
        return (await answer(method, request)) as never;
      } catch (error) {
        if (error instanceof DatabaseWentBack) await tellWentBack();
        throw new StoreUnavailable(`the database: ${messageOf(error)}`, { cause: error });
      }
    },
    clockSkewMs: () => skew,
    async close() {
      if (closed) return;
      closed = true;
      // What cannot be signed now has its record all the same.
      await chains.sign(sessions, clock.now()).catch(() => undefined);
      await forgetting;
      await sessions.close();
    },
  };
}

type Asked = { readonly [M in Method]: { readonly method: M; readonly request: Methods[M]['request'] } }[Method];

/** SQLSTATE classes 22 and 23: a value that is none, a constraint. */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code));
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
