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

export interface Forwarding {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly canonical: CanonicalRequest;
  readonly headers: string[];
  readonly requestID: string;
  readonly upstream: Upstream;
  /** Called once: how it ended. */
  onEnd(outcome: 'forwarded' | 'upstream_unavailable' | 'upstream_timeout' | 'aborted'): void;
}

export interface ForwardedRequest {
  /** True where the response has no length: it may go on for ever. */
  isStream(): boolean;
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
  return { isStream: exchange.isStream, cut: exchange.cut };
}

function createExchange({ response, canonical, requestID, onEnd }: Forwarding) {
  let controller: Controller | undefined;
  let stream = false;
  let ended = false;
  let gone = false;
  const end = (outcome: Parameters<Forwarding['onEnd']>[0]): void => {
    if (ended) return;
    ended = true;
    onEnd(outcome);
  };
  const resume = (): void => controller?.resume();

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started;
      if (gone) started.abort(new Error('the client went away'));
    },
    onResponseStart(_controller, statusCode) {
      // Interim answers are the hop's own; 101 cannot come, since no upgrade is asked for.
      if (statusCode < 200 || gone) return;
      const received = toTexts(controller?.rawHeaders);
      const hasLength = received.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-length');
      stream = !hasLength && canonical.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
      response.writeHead(statusCode, toClientHeaders(received, requestID));
      if (stream) response.flushHeaders();
    },
    onResponseData(_controller, chunk) {
      if (gone || response.write(chunk)) return;
      controller?.pause();
      response.once('drain', resume);
    },
    onResponseEnd() {
      response.off('close', clientGone);
      response.end();
      end('forwarded');
    },
    onResponseError(_controller, error) {
      response.off('close', clientGone);
      if (gone) return end('aborted');
      const isTimeout =
        'code' in error &&
        (error.code === 'UND_ERR_HEADERS_TIMEOUT' ||
          error.code === 'UND_ERR_BODY_TIMEOUT' ||
          error.code === 'UND_ERR_CONNECT_TIMEOUT');
      const code = isTimeout ? 'upstream_timeout' : 'upstream_unavailable';
      if (response.headersSent) response.destroy();
      else {
        const message = isTimeout
          ? 'the upstream did not answer in time'
          : 'the upstream cannot be reached or its answer is malformed';
        sendRefusal(response, refuse(code, message), { requestID, closes: true });
      }
      return end(code);
    },
  };

  /** An upstream that nobody listens to any more is let go at once. */
  const clientGone = (): void => {
    gone = true;
    controller?.abort(new Error('the client went away'));
    end('aborted');
  };
  const cut = (): void => {
    response.destroy();
    clientGone();
  };
  return { handler, clientGone, cut, isStream: () => stream };
}

function toTexts(raw: Controller['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))) : [];
}
