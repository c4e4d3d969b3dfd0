/** Asks the STS for users: one replica as long as it answers, since versions of a watch are its own. */
import { Agent, type Dispatcher } from 'undici';
import { ANSWER_HEADER, FRONT_PATH, type Forwarded } from '../runtimeapi/forwarding.ts';

export interface Replicas {
  /** An answer of the runtime API; undefined where no replica gives one. */
  ask(forwarded: Forwarded, signal: AbortSignal): Promise<Dispatcher.ResponseData | undefined>;
  close(): Promise<void>;
}

export interface ReplicaPorts {
  /** Base URLs of those that are ready. */
  origins(): readonly string[];
  /** The `Authorization` header with the front's own projected token. */
  authorization(): Promise<string>;
  onFailure(origin: string, why: string): void;
}

export interface ReplicaTLS {
  readonly ca?: string;
  /** The name to verify in the certificate instead of the address. */
  readonly serverName?: string;
}

const CONNECT_MS = 2000;
const ANSWER_MS = 10_000;
/** Nothing was sent, so that another replica may be asked to act as well. */
const UNSENT = ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'];

export function createReplicas({ ca, serverName }: ReplicaTLS, ports: ReplicaPorts): Replicas {
  const connect = {
    timeout: CONNECT_MS,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  // A watch has no end of its own; its silence is the client's to judge.
  const agent = new Agent({ connect, allowH2: false, headersTimeout: ANSWER_MS, bodyTimeout: 0 });
  let last: string | undefined;

  const send = async (origin: string, forwarded: Forwarded, signal: AbortSignal) => {
    const url = new URL(`${origin}${FRONT_PATH}`);
    const headers = { 'content-type': 'application/json', authorization: await ports.authorization() };
    const body = JSON.stringify(forwarded);
    return agent.request({ origin: url.origin, path: url.pathname, method: 'POST', headers, body, signal });
  };
  return {
    async ask(forwarded, signal) {
      const ready = ports.origins();
      const order = [...ready.filter((one) => one === last), ...ready.filter((one) => one !== last)];
      for (const origin of order) {
        try {
          const response = await send(origin, forwarded, signal);
          if (response.headers[ANSWER_HEADER] !== undefined) {
            last = origin;
            return response;
          }
          await response.body.dump();
          ports.onFailure(origin, `status ${response.statusCode}`);
        } catch (error) {
          const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
          ports.onFailure(origin, code);
          if (forwarded.method !== 'GET' && !UNSENT.includes(code)) return undefined;
        }
      }
      return undefined;
    },
    close: () => agent.destroy(),
  };
}
