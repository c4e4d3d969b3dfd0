/** One admitted request makes exactly one upstream request: streamed both ways, never retried, redirects never followed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CanonicalRequest } from '../http/canonical.ts';
import { toClientHeaders } from '../http/headers.ts';
import { refuse, sendRefusal } from './refusal.ts';

export interface Upstream {
  readonly client: UpstreamClient;
  readonly origin: string;
  /** What the request's path is appended to: "" or a path without trailing slash. */
  readonly basePath: string;
}

export interface UpstreamRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  /** Names and values, alternating. */
  readonly headers: readonly string[];
  readonly body: IncomingMessage | null;
}

interface UpstreamController {
  /** Of the answer, once it started: names and values, alternating. */
  readonly rawHeaders?: unknown;
  pause(): void;
  resume(): void;
  /** Ends in `onResponseError`. */
  abort(error: Error): void;
}

export interface UpstreamHandler {
  onRequestStart(controller: UpstreamController): void;
  onResponseStart(controller: unknown, status: number): void;
  /** The bytes are the client's again when the call returns. */
  onResponseData(controller: unknown, bytes: Buffer): void;
  onResponseEnd(): unknown;
  onResponseError(controller: unknown, error: Error): void;
}

/** What undici's dispatchers are too, as far as it is used. */
export interface UpstreamClient {
  dispatch(request: UpstreamRequest, handler: UpstreamHandler): unknown;
}

export type ForwardOutcome = 'forwarded' | 'upstream_unavailable' | 'upstream_timeout' | 'aborted';

export interface Forwarding {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly canonical: CanonicalRequest;
  readonly headers: string[];
  readonly requestID: string;
  readonly upstream: Upstream;
  /** Called once: how it ended. */
  onEnd(outcome: ForwardOutcome): void;
}

export interface ForwardedRequest {
  /** True where no length says when it ends: it may go on for ever. */
  isStream(): boolean;
  /** Whom it waits for, when nothing moves; undefined: for the upstream's first byte. */
  waitsFor(): 'client' | 'upstream' | undefined;
  /** Changes whenever bytes move at the client's side. */
  moved(): number;
  /** Ends both sides now. */
  cut(): void;
}

export function forward(forwarding: Forwarding): ForwardedRequest {
  const { request, response, canonical, headers, upstream } = forwarding;
  const exchange = createExchange(forwarding);
  response.once('close', exchange.clientGone);
  upstream.client.dispatch(
    {
      origin: upstream.origin,
      path: `${upstream.basePath}${canonical.target}`,
      method: canonical.method,
      headers,
      body: canonical.hasBody ? request : null,
    },
    exchange.handler,
  );
  return exchange;
}

function createExchange({ request, response, canonical, requestID, onEnd }: Forwarding) {
  const { socket } = request;
  let controller: UpstreamController | undefined;
  /** Bytes that the answer has, where it says so. */
  let length: number | undefined;
  let isEndless = false;
  let hasEnded = false;
  let isGone = false;
  const end = (outcome: ForwardOutcome): void => {
    if (hasEnded) return;
    hasEnded = true;
    onEnd(outcome);
  };
  const resume = (): void => controller?.resume();

  /** An upstream that nobody listens to any more is let go at once. */
  const clientGone = (): void => {
    isGone = true;
    controller?.abort(new Error('the client went away'));
    end('aborted');
  };

  /** A small body as text of one byte each goes out in one piece with its head. */
  const finish = (whole?: Buffer): void => {
    response.off('close', clientGone);
    if (whole) response.end(whole.toString('latin1'), 'latin1');
    else response.end();
    end('forwarded');
  };

  const handler: UpstreamHandler = {
    onRequestStart(started) {
      controller = started;
      if (isGone) started.abort(new Error('the client went away'));
    },
    onResponseStart(_controller, statusCode) {
      // Interim answers are the hop's own; 101 cannot come, since no upgrade is asked for.
      if (statusCode < 200 || isGone) return;
      const received = toTexts(controller?.rawHeaders);
      length = readLength(received);
      isEndless = canonical.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304 && length === undefined;
      response.writeHead(statusCode, toClientHeaders(received, requestID));
      if (isEndless) response.flushHeaders();
    },
    onResponseData(_controller, chunk) {
      if (isGone || hasEnded) return;
      if (chunk.length === length && length <= SMALL) return finish(chunk);
      if (response.write(Buffer.from(chunk))) return;
      controller?.pause();
      response.once('drain', resume);
    },
    onResponseEnd: () => hasEnded || finish(),
    onResponseError(_controller, error) {
      if (hasEnded) return;
      if (isGone) return end('aborted');
      response.off('close', clientGone);
      const code = isTimeout(error) ? 'upstream_timeout' : 'upstream_unavailable';
      // An answer that broke off must not look whole.
      if (response.headersSent) response.destroy();
      else sendRefusal(response, refuse(code, MESSAGES[code]), { requestID, closes: !request.complete });
      return end(code);
    },
  };

  return {
    handler,
    clientGone,
    isStream: () => isEndless || (canonical.bodyLength === undefined && !request.complete),
    waitsFor(): 'client' | 'upstream' | undefined {
      if (response.writableNeedDrain || (canonical.hasBody && !request.complete && !request.isPaused()))
        return 'client';
      return response.headersSent ? 'upstream' : undefined;
    },
    moved: () => socket.bytesRead + socket.bytesWritten,
    cut(): void {
      response.destroy();
      clientGone();
    },
  };
}

const SMALL = 16 * 1024;

const MESSAGES = {
  upstream_timeout: 'the upstream did not answer in time',
  upstream_unavailable: 'the upstream cannot be reached or its answer is malformed',
} as const;

const TIMEOUTS: ReadonlySet<unknown> = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
]);

function isTimeout(error: Error): boolean {
  return 'code' in error && TIMEOUTS.has(error.code);
}

function readLength(received: readonly string[]): number | undefined {
  for (let index = 0; index < received.length; index += 2) {
    const name = received[index]!;
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(received[index + 1]);
  }
  return undefined;
}

function toTexts(raw: unknown): readonly string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((part: unknown) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)));
}
