/** Keeps one feed stream to the STS: connects, reads events in order, acknowledges, and begins again when it breaks. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../authority/clock.ts';
import type { FeedConfig, FeedEpoch, FeedHeartbeat, FeedHello, FeedKeys } from '../../authority/feed.ts';
import type { Freshness } from '../freshness.ts';
import type { GatewayLog } from '../log.ts';
import type { STSClient } from '../stsClient.ts';
import { createEventParser, type FeedEvent } from './events.ts';
import { parseConfig, parseEpoch, parseHeartbeat, parseHello, parseKeys } from './messages.ts';

/** What the zone's state does with each event. */
export interface FeedListener {
  hello(hello: FeedHello): void;
  /** `isFirst`: the first of its stream. */
  config(config: FeedConfig, isFirst: boolean): void;
  keys(keys: FeedKeys): void;
  epoch(epoch: FeedEpoch): void;
  heartbeat(heartbeat: FeedHeartbeat): void;
  /** Digest of the configuration that is enforced now. */
  digest(): string | undefined;
}

export interface FeedLinkPorts {
  readonly sts: Pick<STSClient, 'openFeed' | 'acknowledge'>;
  readonly freshness: Freshness;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly zoneID: string;
  /** 0 to 1. */
  random(): number;
  onConnected(): void;
}

export interface FeedLink {
  start(): void;
  close(): void;
}

const ACK_EVERY_MS = 2000;
/** Heartbeats come every 2 s: a stream that is silent for longer is dead. */
const SILENT_MS = 6000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 3000;

export function createFeedLink(listener: FeedListener, ports: FeedLinkPorts): FeedLink {
  const closing = new AbortController();
  let cursor: string | undefined;
  let failures = 0;

  const follow = async (): Promise<void> => {
    const stream = new AbortController();
    const signal = AbortSignal.any([closing.signal, stream.signal]);
    const response = await ports.sts.openFeed(cursor, signal);
    const reader = createStreamReader(listener, ports, (id) => (cursor = id));
    ports.onConnected();
    const watchdog = setInterval(() => {
      if (ports.clock.monotonic() - reader.heardAt() > SILENT_MS) stream.abort(new Error('the feed is silent'));
    }, 500);
    const acknowledging = setInterval(() => void reader.acknowledge(), ACK_EVERY_MS);
    try {
      await read(response, reader.take);
      failures = 0;
    } finally {
      clearInterval(watchdog);
      clearInterval(acknowledging);
      response.destroy();
      if (reader.wasGood()) failures = 0;
    }
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await follow();
      } catch (error) {
        if (closing.signal.aborted) return;
        ports.log.warn(
          { zone: ports.zoneID, error: error instanceof Error ? error.message : '' },
          'feed lost; connecting again',
        );
      }
      failures += 1;
      const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (0.5 + ports.random() / 2);
      await pause(delay, closing.signal);
    }
  };

  return { start: () => void run(), close: () => closing.abort() };
}

async function read(response: IncomingMessage, take: (event: FeedEvent) => void): Promise<void> {
  const parse = createEventParser();
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) for (const event of parse(chunk)) take(event);
}

function createStreamReader(listener: FeedListener, ports: FeedLinkPorts, keepCursor: (id: string) => void) {
  let heardAt = ports.clock.monotonic();
  let streamID: string | undefined;
  let cursor = '';
  let isConfigured = false;
  let acknowledged: string | undefined;

  const acknowledge = async (): Promise<void> => {
    const digest = listener.digest();
    if (streamID === undefined || digest === undefined) return;
    acknowledged = digest;
    try {
      const nonce = ports.freshness.issue();
      const stsTime = await ports.sts.acknowledge({ stream_id: streamID, cursor, digest, nonce });
      if (stsTime !== undefined) ports.freshness.compare(stsTime);
    } catch (error) {
      // Freshness is not proved by this one; when none gets through, the zone goes stale and denies.
      ports.log.warn(
        { zone: ports.zoneID, error: error instanceof Error ? error.message : '' },
        'acknowledgement failed',
      );
    }
  };

  const take = ({ event, id, data }: FeedEvent): void => {
    heardAt = ports.clock.monotonic();
    if (id !== undefined) {
      cursor = id;
      keepCursor(id);
    }
    switch (event) {
      case 'hello': {
        const hello = parseHello(data);
        streamID = hello.stream_id;
        listener.hello(hello);
        return;
      }
      case 'keys':
        listener.keys(parseKeys(data));
        return;
      case 'config':
        listener.config(parseConfig(data), !isConfigured);
        isConfigured = true;
        if (listener.digest() !== acknowledged) void acknowledge();
        return;
      case 'epoch':
        listener.epoch(parseEpoch(data));
        return;
      case 'heartbeat': {
        const heartbeat = parseHeartbeat(data);
        if (isConfigured) ports.freshness.confirm(heartbeat.nonce);
        listener.heartbeat(heartbeat);
      }
    }
  };
  return { take, acknowledge, heardAt: () => heardAt, wasGood: () => isConfigured };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
