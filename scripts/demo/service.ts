/** The protected service of the demo: it knows nothing of tokens, only what the gateway tells it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ORDERS = [
  { id: 41, item: 'espresso machine', total: 420 },
  { id: 42, item: 'grinder', total: 180 },
];

export interface OrdersService {
  readonly url: URL;
  close(): void;
}

export async function startOrdersService(): Promise<OrdersService> {
  const server = createServer((request, response) => {
    const seenBy = { subject: request.headers['x-caracal-subject'], client: request.headers['x-caracal-client'] };
    const body = request.method === 'GET' ? { orders: ORDERS } : { done: `${request.method} ${request.url}`, seenBy };
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: new URL(`http://127.0.0.1:${port}`), close: () => server.close() };
}
