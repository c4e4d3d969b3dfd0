/** One admitted request makes exactly one upstream request: streamed both ways, never retried, redirects never followed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { CanonicalRequest } from '../http/canonical.ts';
import { toClientHeaders } from '../http/headers.ts';
import { refuse, sendRefusal } from './refusal.ts';

export interface Upstream {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  /** What the request's path is appended to: "" or a path without trailing slash. */
  readonly basePath: string;
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

type Controller = Dispatcher.DispatchController;

export function forward(forwarding: Forwarding): ForwardedRequest {
  const { request, response, canonical, headers, upstream } = forwarding;
  const exchange = createExchange(forwarding);
  response.once('close', exchange.clientGone);
  upstream.dispatcher.dispatch(
    {
      origin: upstream.origin,
      path: `${upstream.basePath}${canonical.target}`,
      method: canonical.method as Dispatcher.HttpMethod,
      headers,
      body: canonical.hasBody ? request : null,
    },
    exchange.handler,
  );
  return exchange;
}

function createExchange({ request, response, canonical, requestID, onEnd }: Forwarding) {
  const { socket } = request;
  let controller: Controller | undefined;
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

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started;
      if (isGone) started.abort(new Error('the client went away'));
    },
    onResponseStart(_controller, statusCode) {
      // Interim answers are the hop's own; 101 cannot come, since no upgrade is asked for.
      if (statusCode < 200 || isGone) return;
      const received = toTexts(controller?.rawHeaders);
      isEndless = canonical.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304 && !hasLength(received);
      response.writeHead(statusCode, toClientHeaders(received, requestID));
      if (isEndless) response.flushHeaders();
    },
    onResponseData(_controller, chunk) {
      if (isGone || response.write(chunk)) return;
      controller?.pause();
      response.once('drain', resume);
    },
    onResponseEnd() {
      response.off('close', clientGone);
      response.end();
      end('forwarded');
    },
    onResponseError(_controller, error) {
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

function hasLength(received: readonly string[]): boolean {
  return received.some(
    (name, index) => index % 2 === 0 && name.length === 14 && name.toLowerCase() === 'content-length',
  );
}

function toTexts(raw: Controller['rawHeaders']): readonly string[] {
  return Array.isArray(raw) ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))) : [];
}
