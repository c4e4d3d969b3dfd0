/** A thin REST layer over the Kubernetes API: JSON only, no redirects, bounded time, errors with their Status. */
import { Agent, type Dispatcher } from 'undici';
import type { KubeConnection } from './connection.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path, already escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Media type of the body; `application/json` when absent. */
  readonly contentType?: string;
  readonly accept?: string;
  /** Ends the request early. */
  readonly signal?: AbortSignal;
}

export interface WatchStream {
  readonly body: AsyncIterable<Buffer>;
  /** Ends the stream at once. */
  abort(): void;
}

export interface KubeClient {
  /** The parsed JSON body of a 2xx answer. Rejects with KubeError for other answers, any error when there is none. */
  request(request: KubeRequest): Promise<unknown>;
  /** The open body of a 200 answer to a GET; no time limit of its own. Rejects like `request`. */
  watch(request: Omit<KubeRequest, 'method' | 'body'>): Promise<WatchStream>;
  close(): Promise<void>;
}

/** An answer of the API server other than 2xx. `reason` as in metav1.Status. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  readonly reason: string;
  /** Seconds, from Retry-After. */
  readonly retryAfter: number | undefined;
  constructor(status: number, reason: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** Whether the API server answered with this HTTP status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof KubeError && error.status === status;
}

const APPLY_PATCH = 'application/apply-patch+yaml';

/** Server-side apply of `object` (JSON is YAML) at `path`, forced, as field manager `manager`. */
export function applyRequest(path: string, manager: string, object: unknown): KubeRequest {
  return {
    method: 'PATCH',
    path,
    query: { fieldManager: manager, force: 'true' },
    body: object,
    contentType: APPLY_PATCH,
  };
}

export interface KubeClientSettings {
  /** Milliseconds for a whole request; 30 s when absent. */
  readonly timeout?: number;
}

export function createKubeClient(connection: KubeConnection, settings: KubeClientSettings = {}): KubeClient {
  const timeout = settings.timeout ?? 30_000;
  const connect = { ...connection.tls, timeout: Math.min(timeout, 10_000) };
  // Not HTTP/2: ending one stream would keep the connection, and a connection gone silent would hold every later watch.
  const requests = new Agent({
    connect,
    allowH2: false,
    connections: 16,
    headersTimeout: timeout,
    bodyTimeout: timeout,
  });
  const watches = new Agent({ connect, allowH2: false, headersTimeout: timeout, bodyTimeout: 0 });
  const send = async (agent: Agent, request: KubeRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> =>
    agent.request({
      origin: connection.server,
      method: request.method,
      path: request.path + queryText(request.query),
      headers: headers(request, await connection.authorization()),
      signal,
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
  return {
    async request(request) {
      const response = await send(requests, request, either(AbortSignal.timeout(timeout), request.signal));
      if (response.statusCode < 200 || response.statusCode > 299) throw await toKubeError(request, response);
      requireJSON(request, response);
      return response.body.json();
    },
    async watch(request) {
      const control = new AbortController();
      const whole = { ...request, method: 'GET' } as const;
      const response = await send(watches, whole, either(control.signal, request.signal));
      if (response.statusCode !== 200) throw await toKubeError(whole, response);
      requireJSON(whole, response);
      return { body: response.body, abort: () => control.abort() };
    },
    async close() {
      await Promise.all([requests.destroy(), watches.destroy()]);
    },
  };
}

function either(signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other]);
}

function headers(request: KubeRequest, authorization: string | undefined): Record<string, string> {
  return {
    accept: request.accept ?? 'application/json',
    'user-agent': 'caracal',
    ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
    ...(authorization === undefined ? {} : { authorization }),
  };
}

function queryText(query: KubeRequest['query']): string {
  const pairs = Object.entries(query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}

function requireJSON(request: KubeRequest, response: Dispatcher.ResponseData): void {
  const type = String(response.headers['content-type'] ?? '');
  if (/^application\/(jwk-set\+)?json\b/.test(type)) return;
  response.body.on('error', () => undefined).destroy();
  throw new Error(`${request.method} ${request.path}: the answer is ${type || 'of no type'}, not application/json`);
}

async function toKubeError(request: KubeRequest, response: Dispatcher.ResponseData): Promise<KubeError> {
  const text = await response.body.text();
  const status = toStatusBody(text);
  const retry = Number(response.headers['retry-after']);
  return new KubeError(
    response.statusCode,
    status.reason ?? 'Unknown',
    `${request.method} ${request.path}: ${response.statusCode} ${status.message ?? text.slice(0, 200)}`,
    Number.isFinite(retry) && retry >= 0 ? retry : undefined,
  );
}

function toStatusBody(text: string): { reason?: string; message?: string } {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null) return {};
    const { reason, message } = body as Record<string, unknown>;
    return {
      ...(typeof reason === 'string' ? { reason } : {}),
      ...(typeof message === 'string' ? { message } : {}),
    };
  } catch {
    return {};
  }
}
