/** The face of the aggregated runtime API: puts its parts together over the ports, and starts and stops them in order. */
import type { Clock } from '../authority/clock.ts';
import { readCertificate, watchCertificate, type TLSFiles } from '../http/certificate.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ReplicaOrigins } from '../kube/replicas.ts';
import type { Log } from '../sts/ports.ts';
import { answerRequest } from './answer.ts';
import { createAuthorizer } from './authorize.ts';
import { createReplicas, type ReplicaTLS } from './replicas.ts';
import { parseRules, readUser, type RequestHeaderRules } from './requestHeader.ts';
import { createFrontServer } from './server.ts';

export interface FrontConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TLSFiles;
  readonly stsTLS: ReplicaTLS;
}

export interface FrontPorts {
  readonly client: Pick<KubeClient, 'request'>;
  readonly origins: ReplicaOrigins;
  /** The `Authorization` header for the STS. */
  authorization(): Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Front {
  start(): Promise<{ readonly url: string }>;
  close(): Promise<void>;
}

const RULES = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
/** API servers change it when their certificates do, which are good long after. */
const RULES_EVERY_MS = 60_000;

export function createFront(config: FrontConfig, ports: FrontPorts): Front {
  const { client, clock, log, origins } = ports;
  const replicas = createReplicas(config.stsTLS, {
    origins: () => origins.origins(),
    authorization: () => ports.authorization(),
    onFailure: (origin, why) => log.warn({ origin, error: why }, 'an STS replica does not answer'),
  });
  const asking = { authorize: createAuthorizer(client, clock), replicas };
  const closing: (() => Promise<void> | void)[] = [() => replicas.close(), () => origins.close()];

  const serve = async (first: RequestHeaderRules): Promise<{ readonly url: string }> => {
    let rules = first;
    let pair = readCertificate(config.tls);
    const server = createFrontServer(pair, rules.clientCA, {
      ready: () => ({ ready: true }),
      userOf: (rawHeaders, peer) => readUser(rawHeaders, peer, rules),
      answer: (request) => answerRequest(request, asking),
      failed: (error) => log.error({ error: messageOf(error) }, 'request failed'),
    });
    const renew = () => server.setTLS(pair, rules.clientCA);
    const reread = async (): Promise<void> => {
      try {
        const next = await readRules(client);
        if (next.clientCA !== rules.clientCA) log.info({}, 'the API server has another client CA');
        rules = next;
        renew();
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'who the API server is could not be read again');
      }
    };
    const timer = setInterval(() => void reread(), RULES_EVERY_MS).unref();
    const unwatch = watchCertificate(config.tls, (next) => ((pair = next), renew()), log);
    closing.push(
      () => server.close(),
      unwatch,
      () => clearInterval(timer),
    );
    return server.listen(config.listen);
  };

  return {
    async start() {
      // Not awaited: discovery answers from the first moment, though the STS be found later.
      void origins.start().catch((error: unknown) => log.error({ error: messageOf(error) }, 'no STS is looked for'));
      const served = await serve(await readRules(client));
      log.info(served, 'front serves');
      return served;
    },
    async close() {
      for (const close of closing.splice(0).reverse()) await close();
    },
  };
}

async function readRules(client: Pick<KubeClient, 'request'>): Promise<RequestHeaderRules> {
  const map = (await client.request({ method: 'GET', path: RULES })) as {
    readonly data?: Readonly<Record<string, string>>;
  };
  return parseRules(map.data ?? {});
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
