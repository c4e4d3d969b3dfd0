/** The protected services of the demo: they know nothing of tokens, only what the gateway tells them. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

const ORDERS = [
  { id: 41, item: 'espresso machine', total: 420 },
  { id: 42, item: 'grinder', total: 180 },
];

export interface ProtectedService {
  readonly url: URL;
  close(): void;
}

export function startOrdersService(): Promise<ProtectedService> {
  return startService((request) => (request.method === 'GET' ? { orders: ORDERS } : toDone(request)));
}

const INVOICES = [
  { id: 7, from: 'office supplies', total: 90 },
  { id: 8, from: 'the landlord', total: 12_000 },
];

export function startPaymentsService(): Promise<ProtectedService> {
  return startService((request) => (request.method === 'GET' ? { invoices: INVOICES } : toDone(request)));
}

function toDone({ method, url, headers }: IncomingMessage) {
  return {
    done: `${method} ${url}`,
    seenBy: { subject: headers['x-caracal-subject'], client: headers['x-caracal-client'] },
  };
}

async function startService(toBody: (request: IncomingMessage) => unknown): Promise<ProtectedService> {
  const server = createServer((request, response) => {
    const body = toBody(request);
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
