/** A TCP relay on loopback that can stop forwarding in one direction, as a broken route does: nobody is told. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export type Direction = 'toClient' | 'toServer';

export interface Relay {
  readonly port: number;
  /** Also for connections to come. */
  cut(direction: Direction): void;
  /** What was held back is lost, as are the connections that it belonged to. */
  heal(): void;
}

/** Ended with the test. */
export async function startRelay(targetPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const isCut = new Set<Direction>();
  const forward = (from: Socket, to: Socket, direction: Direction): void => {
    sockets.add(from);
    from.on('data', (chunk) => void (isCut.has(direction) || to.write(chunk)));
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    forward(client, upstream, 'toServer');
    forward(upstream, client, 'toClient');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = (): void => sockets.forEach((socket) => socket.destroy());
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    drop();
    await closed;
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut: (direction) => void isCut.add(direction),
    heal() {
      isCut.clear();
      drop();
    },
  };
}
