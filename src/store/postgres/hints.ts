/** Hints that another replica wrote: a connection that listens, made again when it is lost. What matters is read by polling. */
import { Client } from 'pg';
import { toClientConfig, type Session, type SessionConfig } from './sessions.ts';

export interface Hints {
  on(listener: () => void): () => void;
  close(): Promise<void>;
}

const CHANNEL = 'caracal';
const RETRY_MS = 1000;
const TIMEOUT_MS = 1000;

/** Within the transaction of what it tells of. */
export async function sendHint(session: Session): Promise<void> {
  await session.query(`NOTIFY ${CHANNEL}`);
}

/** Listens from the first listener on. */
export function createHints(config: SessionConfig): Hints {
  const listeners = new Set<() => void>();
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const lost = (dead: Client): void => {
    if (client !== dead) return;
    client = undefined;
    void dead.end().catch(() => undefined);
    if (!closed) timer = setTimeout(listen, RETRY_MS).unref();
  };

  const listen = (): void => {
    const { statement_timeout: _, ...options } = toClientConfig(config, TIMEOUT_MS);
    const connecting = new Client(options);
    client = connecting;
    connecting.on('error', () => lost(connecting));
    connecting.on('end', () => lost(connecting));
    connecting.on('notification', () => {
      for (const listener of [...listeners]) listener();
    });
    connecting
      .connect()
      .then(() => connecting.query(`LISTEN ${CHANNEL}`))
      .then(
        () => unref(connecting),
        () => lost(connecting),
      );
  };

  return {
    on(listener) {
      listeners.add(listener);
      if (!client && !timer && !closed) listen();
      return () => void listeners.delete(listener);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end().catch(() => undefined);
    },
  };
}

/** A process that only listens may end. */
function unref(client: Client): void {
  const { connection } = client as unknown as { readonly connection?: { readonly stream?: { unref?(): void } } };
  connection?.stream?.unref?.();
}
