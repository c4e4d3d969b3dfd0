/** A gateway's side of the feed: its token, its stream of events, its acknowledgements and questions. */
import { request as httpRequest } from 'node:http';
import { onTestFinished, vi } from 'vitest';
import { WAIT, type Answer, type TestSTS } from './service.ts';
import { cluster, ISSUER, podOf, serviceAccountClaims, signAs, type Claims } from './tokens.ts';

interface FeedEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Feed {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** All so far. */
  readonly events: readonly FeedEvent[];
  isOver(): boolean;
  /** The first event from index `from` on that `matches`; fails when none comes. */
  wait(event: string, matches?: (data: FeedEvent['data']) => boolean, from?: number): Promise<FeedEvent>;
  close(): void;
}

export function gatewayToken(sts: Pick<TestSTS, 'seconds'>, claims: Claims = {}): string {
  const gateway = {
    aud: [`${ISSUER}/zones/shop.main/gateways`],
    sub: 'system:serviceaccount:shop:gateway',
    'kubernetes.io': podOf('shop', 'gateway'),
  };
  return signAs(cluster, serviceAccountClaims(sts.seconds(), { ...gateway, ...claims }));
}

/** Of a ServiceAccount in any namespace, for the gateways of shop.main. */
export function gatewayOf(sts: Pick<TestSTS, 'seconds'>, namespace: string, name: string, podUID?: string): string {
  const claims = { sub: `system:serviceaccount:${namespace}:${name}`, 'kubernetes.io': podOf(namespace, name, podUID) };
  return gatewayToken(sts, claims);
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

export function openFeed(
  sts: TestSTS,
  { token = gatewayToken(sts), lastEventID }: { readonly token?: string; readonly lastEventID?: string } = {},
): Promise<Feed> {
  return new Promise((resolve, reject) => {
    const headers = { ...bearer(token), ...(lastEventID !== undefined && { 'last-event-id': lastEventID }) };
    const sent = httpRequest(`${sts.url()}/v1/feed?zone_id=shop.main`, { headers, agent: false }, (response) => {
      const events: FeedEvent[] = [];
      let rest = '';
      let isOver = false;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop()!;
        events.push(...blocks.map(parseEvent));
      });
      response.on('close', () => void (isOver = true));
      response.on('error', () => void (isOver = true));
      resolve({
        status: response.statusCode!,
        headers: response.headers,
        events,
        isOver: () => isOver,
        wait: (event, matches = () => true, from = 0) =>
          vi.waitFor(() => {
            const found = events.slice(from).find((one) => one.event === event && matches(one.data));
            if (!found) throw new Error(`no ${event} among ${events.map((one) => one.event).join(' ')}`);
            return found;
          }, WAIT),
        close: () => void sent.destroy(),
      });
    });
    onTestFinished(() => void sent.destroy());
    sent.on('error', reject);
    sent.end();
  });
}

function parseEvent(block: string): FeedEvent {
  const lines = block
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]);
  const fields = new Map(lines as [string, string][]);
  const data = JSON.parse(fields.get('data') ?? '{}') as FeedEvent['data'];
  return { event: fields.get('event') ?? '', id: fields.get('id'), data };
}

export function postJSON(sts: TestSTS, path: string, body: unknown, token = gatewayToken(sts)): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = { ...bearer(token), 'content-type': 'application/json' };
  return sts.send({ method: 'POST', path, headers, body: text });
}

export const acknowledge = (sts: TestSTS, ack: object, token = gatewayToken(sts)) =>
  postJSON(sts, '/v1/feed/ack?zone_id=shop.main', ack, token);

export const revalidate = (sts: TestSTS, mandates: readonly string[], minEpoch = 0, token = gatewayToken(sts)) =>
  postJSON(sts, '/v1/mandates/revalidate?zone_id=shop.main', { mandates, min_epoch: minEpoch }, token);
