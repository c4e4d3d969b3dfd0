/** A lean HTTP/1.1 client to one app: kept connections, one request at a time on each, nothing sent twice. */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createAnswerReader, type AnswerReader } from './answerReader.ts';
import type { UpstreamClient, UpstreamHandler, UpstreamRequest } from './forward.ts';

interface AppClientConfig {
  readonly host: string;
  readonly port: number;
  readonly connectMs: number;
  /** Until the first byte of an answer, once nothing moves towards the app. */
  readonly answerMs: number;
  readonly maxConnections: number;
}

interface AppClient extends UpstreamClient {
  /** Ends every connection, and with it what is under way. */
  close(): void;
}

interface Call {
  readonly request: UpstreamRequest;
  readonly head: string;
  readonly handler: UpstreamHandler;
  connection: Connection | undefined;
  rawHeaders: readonly string[];
  isAnswered: boolean;
  /** The whole request is written. */
  isSent: boolean;
  isOver: boolean;
}

interface Connection {
  readonly socket: Socket;
  readonly reader: AnswerReader;
  call: Call | undefined;
  /** Milliseconds that it has rested, or waited for the app. */
  age: number;
}

interface State {
  readonly config: AppClientConfig;
  readonly connections: Set<Connection>;
  /** The last that came to rest serves first. */
  readonly resting: Connection[];
  waiting: Call[];
  timer: NodeJS.Timeout | undefined;
}

const LOOK_EVERY_MS = 1000;
/** What is left of a body that the app did not wait for is read so long, so that the client gets its answer. */
const LINGER_MS = 1000;

/** Bytes are handed on, or copied, within the call that reads them: one buffer serves all connections. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

export function createAppClient(config: AppClientConfig): AppClient {
  const state: State = { config, connections: new Set(), resting: [], waiting: [], timer: undefined };
  return {
    dispatch(request, handler) {
      const states = { isAnswered: false, isSent: false, isOver: false };
      const call: Call = { request, head: toHead(request), handler, connection: undefined, rawHeaders: [], ...states };
      handler.onRequestStart({
        get rawHeaders() {
          return call.rawHeaders;
        },
        pause: () => void call.connection?.socket.pause(),
        resume: () => void call.connection?.socket.resume(),
        abort: (error) => fail(call, error, state),
      });
      if (call.isOver) return;
      const connection = takeResting(state) ?? open(state);
      if (connection) send(call, connection, state);
      else state.waiting.push(call);
    },
    close() {
      clearInterval(state.timer);
      for (const call of state.waiting.splice(0)) fail(call, new Error('the gateway stops'), state);
      for (const { socket } of state.connections) socket.destroy(new Error('the gateway stops'));
    },
  };
}

function takeResting({ resting }: State): Connection | undefined {
  let connection = resting.pop();
  while (connection?.socket.destroyed) connection = resting.pop();
  return connection;
}

/** Undefined where there are as many as there may be. */
function open(state: State): Connection | undefined {
  const { config, connections } = state;
  if (connections.size >= config.maxConnections) return undefined;
  const onread = {
    buffer: BUFFER,
    callback: (size: number): boolean => {
      read(connection, size, state);
      return true;
    },
  };
  const socket = connect({ host: config.host, port: config.port, noDelay: true, onread });
  const connection: Connection = { socket, reader: createAnswerReader(toSink()), call: undefined, age: 0 };
  function toSink() {
    return {
      head: (status: number, rawHeaders: string[]) => takeHead(connection, status, rawHeaders),
      data: (bytes: Buffer) => connection.call?.handler.onResponseData(undefined, bytes),
    };
  }
  connections.add(connection);
  state.timer ??= setInterval(() => look(state), LOOK_EVERY_MS).unref();
  socket.on('end', () => lose(connection, undefined, state));
  socket.on('error', (error) => lose(connection, error, state));
  socket.on('close', () => lose(connection, undefined, state));
  return connection;
}

function send(call: Call, connection: Connection, state: State): void {
  const { request } = call;
  call.connection = connection;
  connection.call = call;
  connection.age = 0;
  connection.reader.start(request.method === 'HEAD');
  connection.socket.write(call.head, 'latin1');
  if (request.body === null) call.isSent = true;
  else sendBody(call, connection, request.body, state);
}

const FIELD = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Throws RangeError for what is no single line: nothing is sent that could be read as another request. */
function toHead({ method, path, headers, body }: UpstreamRequest): string {
  if (!/^\/[!-~]*$/.test(path)) throw new RangeError('the path cannot be sent');
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1]!;
    if (!FIELD.test(value)) throw new RangeError(`the value of ${headers[index]} cannot be sent`);
    head += `${headers[index]}: ${value}\r\n`;
  }
  if (hasLength(headers)) return `${head}\r\n`;
  if (body !== null) return `${head}Transfer-Encoding: chunked\r\n\r\n`;
  if (NEEDS_LENGTH.has(method)) return `${head}Content-Length: 0\r\n\r\n`;
  return `${head}\r\n`;
}

/** Where methods expect a body, that there is none is said (RFC 9110 §8.6). */
const NEEDS_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

function hasLength(headers: readonly string[]): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]!.length === 14 && headers[index]!.toLowerCase() === 'content-length') return true;
  }
  return false;
}

function sendBody(call: Call, connection: Connection, body: IncomingMessage, state: State): void {
  const { socket } = connection;
  const isChunked = !hasLength(call.request.headers);
  const resume = (): void => void body.resume();
  const stop = (): void => {
    body.off('data', take).off('end', finish).off('error', abort).off('aborted', abort);
    socket.off('drain', resume);
  };
  const take = (bytes: Buffer): void => {
    if (call.isOver) return stop();
    connection.age = 0;
    if (isChunked) socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
    const isRoomy = socket.write(bytes);
    if (isChunked) socket.write('\r\n', 'latin1');
    if (isRoomy) return undefined;
    body.pause();
    socket.once('drain', resume);
    return undefined;
  };
  const finish = (): void => {
    stop();
    call.isSent = true;
    if (!call.isOver && isChunked) socket.write('0\r\n\r\n', 'latin1');
  };
  const abort = (): void => {
    stop();
    fail(call, new Error('the client’s body broke off'), state);
  };
  body.on('data', take).once('end', finish).once('error', abort).once('aborted', abort);
}

function read(connection: Connection, size: number, state: State): void {
  const { reader, call } = connection;
  // Nobody asked: an answer that nobody waits for would be taken for the next one's.
  if (!call) return lose(connection, undefined, state);
  try {
    if (reader.read(BUFFER.subarray(0, size)) && !call.isOver) finish(call, connection, state);
  } catch (error) {
    fail(call, error as Error, state);
  }
}

function takeHead({ call }: Connection, status: number, rawHeaders: readonly string[]): void {
  if (!call || call.isOver) return;
  call.rawHeaders = rawHeaders;
  call.isAnswered = true;
  call.handler.onResponseStart(undefined, status);
}

function finish(call: Call, connection: Connection, state: State): void {
  call.isOver = true;
  connection.call = undefined;
  const mayRest = call.isSent && connection.reader.restMs() > 0 && !connection.socket.destroyed;
  if (!mayRest) connection.socket.destroy();
  if (!call.isSent) linger(call.request.body!);
  call.handler.onResponseEnd();
  if (mayRest) rest(connection, state);
}

/** Closing on unread bytes would reset the client's connection, and lose the answer. */
function linger(body: IncomingMessage): void {
  body.resume();
  const timer = setTimeout(() => body.destroy(), LINGER_MS).unref();
  body.once('close', () => clearTimeout(timer));
}

function rest(connection: Connection, state: State): void {
  const next = state.waiting.shift();
  if (next) return send(next, connection, state);
  connection.age = 0;
  if (connection.socket.isPaused()) connection.socket.resume();
  state.resting.push(connection);
  return undefined;
}

/** The connection ends, whichever way. */
function lose(connection: Connection, error: Error | undefined, state: State): void {
  const { call, reader, socket } = connection;
  if (state.connections.delete(connection)) {
    const at = state.resting.indexOf(connection);
    if (at >= 0) state.resting.splice(at, 1);
    const next = state.waiting.length > 0 ? open(state) : undefined;
    if (next) send(state.waiting.shift()!, next, state);
  }
  if (!call) socket.destroy();
  else if (error === undefined && reader.endsWithConnection()) finish(call, connection, state);
  else fail(call, error ?? new Error('the app closed the connection'), state);
}

function fail(call: Call, error: Error, state: State): void {
  if (call.isOver) return;
  call.isOver = true;
  state.waiting = state.waiting.filter((other) => other !== call);
  if (call.connection) {
    call.connection.call = undefined;
    call.connection.socket.destroy();
  }
  call.handler.onResponseError(undefined, error);
}

class TimedOut extends Error {
  override readonly name = 'TimedOut';
  readonly code = 'ETIMEDOUT';
}

function look(state: State): void {
  const { connectMs, answerMs } = state.config;
  for (const connection of state.connections) {
    const { call, socket, reader } = connection;
    connection.age += LOOK_EVERY_MS;
    if (!call) {
      if (connection.age >= reader.restMs()) lose(connection, undefined, state);
    } else if (!call.isAnswered && connection.age >= (socket.connecting ? connectMs : answerMs))
      fail(call, new TimedOut('the app does not answer'), state);
  }
}
