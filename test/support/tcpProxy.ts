/** A TCP proxy on loopback that can drop, stall and refuse connections, as bad networks do. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TCPProxy {
  readonly port: number;
  /** Resets every open connection; new ones are accepted. */
  drop(): void;
  /** Open connections stay open but carry nothing any more; new ones work. */
  stall(): void;
  /** Resets every connection and refuses new ones until `open`. */
  cut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function startTCPProxy(targetPort: number): Promise<TCPProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isOpen = true;
  const server = createServer((client) => {
    if (!isOpen) return void client.resetAndDestroy();
    const upstream = connect(targetPort, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    client.pipe(upstream);
    upstream.pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = (): void => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    drop,
    stall() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    cut() {
      isOpen = false;
      drop();
    },
    open() {
      isOpen = true;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      drop();
      await closed;
    },
  };
}
