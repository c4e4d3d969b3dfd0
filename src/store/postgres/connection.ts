/** PostgreSQL as an engine: groups written under the locks of their zones, reads of one moment, and no waiting for a database that is gone. */
import type { Clock } from '../../authority/clock.ts';
import type { NoteSigner } from '../../audit/note.ts';
import type { Connection } from '../engineStore.ts';
import type { Method, Methods } from '../protocol.ts';
import type { Seal } from '../seal.ts';
import { StoreUnavailable } from '../store.ts';
import { createChains } from './chains.ts';
import type { Context } from './context.ts';
import { createForgetting } from './forgetting.ts';
import { createReached, DatabaseWentBack, endLife } from './life.ts';
import { readAuthority, readDecision, readDecisions, readEntries, readRevocations, readRuntime } from './reads.ts';
import type { Sessions } from './sessions.ts';
import { createSnapshots } from './snapshots.ts';
import { createWriter } from './writer.ts';

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

export function createPostgresConnection(config: PostgresConnectionConfig): PostgresConnection {
  const { sessions, seal, signer, incarnation, writer, clock } = config;
  const chains = createChains(writer, signer);
  const context: Context = { sessions, seal, incarnation, clock, reached: createReached() };
  let closed = false;

  const snapshots = createSnapshots(context);
  const write = createWriter(context, chains, writer);

  const forgetting = createForgetting(context);

  const answer = async (method: Method, request: Methods[Method]['request']): Promise<Methods[Method]['answer']> => {
    const asked = { method, request } as Asked;
    switch (asked.method) {
      case 'open':
        return incarnation;
      case 'write': {
        const outcomes = await write(asked.request.operations);
        forgetting.sometimes();
        return outcomes;
      }
      case 'checkpoint':
        await chains.sign(sessions, clock.now());
        return undefined;
      case 'heads':
        return snapshots.heads();
      case 'zoneEpoch':
        return snapshots.zone(asked.request.zoneUID, async (_, { epoch, digest }) =>
          epoch === 0 ? undefined : { epoch, digest },
        );
      case 'authorityRecord':
        return sessions.read((session) => readAuthority(session, seal, asked.request));
      case 'revocations':
        return snapshots.zone(asked.request.zoneUID, (session, head) => readRevocations(session, seal, head));
      case 'runtime':
        return snapshots.zone(asked.request.zoneUID, (session, head) => readRuntime(session, seal, head));
      case 'runtimeEntries':
        return snapshots.zone(asked.request.zoneUID, (session, head) =>
          readEntries(session, seal, head, asked.request),
        );
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
    clockSkewMs: () => snapshots.clockSkewMs(),
    async close() {
      if (closed) return;
      closed = true;
      // What cannot be signed now has its record all the same.
      await chains.sign(sessions, clock.now()).catch(() => undefined);
      await forgetting.end();
      await sessions.close();
    },
  };
}

type Asked = { readonly [M in Method]: { readonly method: M; readonly request: Methods[M]['request'] } }[Method];

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
