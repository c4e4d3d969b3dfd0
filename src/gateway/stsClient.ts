/** Calls of a gateway to its STS, with its own token, each bounded in time and size. */
import {
  Agent as HTTPAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HTTPSAgent, request as httpsRequest } from 'node:https';
import type { AuditBatch } from '../authority/gatewayRecords.ts';
import type {
  ConsumeRequest,
  ConsumeResponse,
  FeedAck,
  RevalidateRequest,
  RevalidateResponse,
} from '../authority/feed.ts';

export interface STSEndpoint {
  /** Where the STS is reached: its issuer, or an address inside. */
  readonly url: string;
  readonly zoneID: string;
  /** PEM certificates to trust. */
  readonly ca?: string;
  /** The gateway's projected token, as it is now. */
  token(): Promise<string>;
}

export interface STSClient {
  /** Resolves with the STS' time (Unix milliseconds) where it says it. */
  acknowledge(ack: FeedAck): Promise<number | undefined>;
  /** Rejects with STSRefused where the STS answered otherwise. */
  revalidate(request: RevalidateRequest): Promise<RevalidateResponse>;
  /** Likewise; `withinMs` from now. Any other failure leaves open whether the mandate was spent. */
  consume(request: ConsumeRequest, withinMs: number): Promise<ConsumeResponse>;
  /** The response of an open feed stream. */
  openFeed(lastEventID: string | undefined, signal: AbortSignal): Promise<IncomingMessage>;
  /** Resolves when it is stored, now or before. Rejects otherwise. */
  record(batch: AuditBatch): Promise<void>;
  close(): void;
}

export class STSRefused extends Error {
  override readonly name = 'STSRefused';
  readonly status: number;
  constructor(status: number) {
    super(`the STS answered ${status}`);
    this.status = status;
  }
}

const CALL_MS = 2000;
const OPEN_MS = 5000;
const CONSUMING_SOCKETS = 32;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Throws TypeError where its token would leave the machine in the clear. */
export function createSTSClient(endpoint: STSEndpoint): STSClient {
  const base = new URL(endpoint.url);
  if (!isPrivateLink(base))
    throw new TypeError(`the STS at ${endpoint.url} must be https: the gateway's token goes there`);
  const isTLS = base.protocol === 'https:';
  const trust = endpoint.ca === undefined ? {} : { ca: endpoint.ca };
  const newAgent = (maxSockets: number) =>
    isTLS ? new HTTPSAgent({ keepAlive: true, maxSockets, ...trust }) : new HTTPAgent({ keepAlive: true, maxSockets });
  const agent = newAgent(4);
  // One question for each request: they must not stand in the way of the acknowledgements that freshness is proved by.
  const consuming = newAgent(CONSUMING_SOCKETS);
  const query = `zone_id=${encodeURIComponent(endpoint.zoneID)}`;

  const send = async (method: string, path: string, options: RequestOptions): Promise<ClientRequest> => {
    const headers = { ...options.headers, authorization: `Bearer ${(await endpoint.token()).trim()}` };
    const url = `${endpoint.url}${path}?${query}`;
    const all = { ...options, method, headers, ...trust };
    return isTLS ? httpsRequest(url, all) : httpRequest(url, all);
  };

  const call = async (path: string, body: unknown, over = agent, withinMs = CALL_MS): Promise<Answer> => {
    const text = JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const signal = AbortSignal.timeout(withinMs);
    const request = await send('POST', path, { agent: over, headers, signal });
    const response = await answerOf(request, text);
    const answer = await readAnswer(response);
    if (response.statusCode !== 200 && response.statusCode !== 204) throw new STSRefused(response.statusCode ?? 0);
    const date = Date.parse(response.headers.date ?? '');
    return { text: answer, date: Number.isNaN(date) ? undefined : date };
  };

  return {
    acknowledge: async (ack) => (await call('/v1/feed/ack', ack)).date,
    async revalidate(request) {
      const { text } = await call('/v1/mandates/revalidate', request);
      return parseRevalidation(text, request.mandates.length);
    },
    async consume(request, withinMs) {
      return parseConsumption((await call('/v1/mandates/consume', request, consuming, withinMs)).text);
    },
    record: async (batch) => void (await call('/v1/audit', batch)),
    async openFeed(lastEventID, signal) {
      const headers = {
        accept: 'text/event-stream',
        ...(lastEventID !== undefined && { 'last-event-id': lastEventID }),
      };
      const request = await send('GET', '/v1/feed', { agent: false, headers, signal });
      request.setTimeout(OPEN_MS, () => request.destroy(new Error('the STS did not answer in time')));
      const response = await answerOf(request, undefined);
      request.setTimeout(0);
      if (response.statusCode === 200) return response;
      response.destroy();
      throw new STSRefused(response.statusCode ?? 0);
    },
    close() {
      agent.destroy();
      consuming.destroy();
    },
  };
}

/** TLS, or a connection that does not leave the machine. */
function isPrivateLink({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

interface Answer {
  readonly text: string;
  readonly date: number | undefined;
}

function answerOf(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_ANSWER_BYTES) throw new Error('the answer of the STS is too large');
  }
  return text;
}

/** Anything but exactly one boolean for each mandate is no answer. */
function parseRevalidation(text: string, count: number): RevalidateResponse {
  const value = JSON.parse(text) as Partial<RevalidateResponse>;
  const isWhole = Number.isSafeInteger(value.epoch) && Array.isArray(value.results) && value.results.length === count;
  if (!isWhole || !value.results!.every(({ valid }) => typeof valid === 'boolean'))
    throw new Error('the STS gave no answer for each mandate');
  return value as RevalidateResponse;
}

function parseConsumption(text: string): ConsumeResponse {
  const value = JSON.parse(text) as Partial<ConsumeResponse>;
  if (typeof value.consumed === 'boolean') return value as ConsumeResponse;
  throw new Error('the STS did not say whether the mandate was consumed');
}
