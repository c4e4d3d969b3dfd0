/** All feed streams of this replica: who is connected, what each was sent and has acknowledged, and what goes out when. */
import type { Clock, RandomBytes } from '../../authority/clock.ts';
import type { FeedAck, FeedEpoch, FeedHeartbeat, FeedHello } from '../../authority/feed.ts';
import type { Gateway } from '../authenticate/bearer.ts';
import type { ServedZone, ZoneEvent } from '../configuration.ts';
import { OAuthError, toUnavailable } from '../errors.ts';
import type { WorkloadDirectory } from '../ports.ts';
import { parseCursor, toCursorText } from './cursor.ts';
import { toClosedConfig, toFeedConfig, toFeedKeys } from './slice.ts';

/** Where events go: one HTTP response. `write` says false when the client does not keep up. */
export interface FeedSink {
  write(text: string): boolean;
  close(): void;
}

export interface FeedStream {
  readonly id: string;
  readonly zoneID: string;
  readonly gateway: Gateway;
}

export interface StreamReport extends FeedStream {
  /** The gateway enforces what this replica serves it. */
  readonly current: boolean;
  /** It has every change of authority of this replica, or was silent for so long that it denies. */
  readonly informed: boolean;
  /** Identifiers of the Resources it was sent. */
  readonly resources: readonly string[];
}

export interface FeedHub {
  /** Throws OAuthError. */
  open(gateway: Gateway, zone: ServedZone, lastEventID: string | undefined, sink: FeedSink): FeedStream;
  drop(stream: FeedStream): void;
  /** Throws OAuthError when the caller has no such stream. */
  acknowledge(gateway: Gateway, zoneID: string, ack: FeedAck): void;
  zoneChanged(event: ZoneEvent): void;
  streams(): readonly StreamReport[];
  close(): void;
}

export interface FeedHubPorts {
  readonly issuer: string;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly workloads: Pick<WorkloadDirectory, 'alive'>;
  /** This replica may prove freshness of the zone now. */
  isFresh(zoneUID: string): boolean;
}

const HEARTBEAT_MS = 2000;
const KEPT_CHANGES = 256;
/** Of one pod in one zone; a gateway needs one, and another while it reconnects. */
const MAX_STREAMS = 8;

interface Live extends FeedStream {
  readonly sink: FeedSink;
  zone: ServedZone;
  digest: string;
  keys: string;
  resources: readonly string[];
  acknowledged: string | undefined;
  /** Of the last acknowledgement, and when it came (monotonic milliseconds). */
  acknowledgedEpoch: number;
  heardAt: number;
  nonce: string | null;
}

export function createFeedHub(ports: FeedHubPorts): FeedHub {
  const streams = new Map<string, Live>();
  const past = createPast();

  const send = (stream: Live, event: string, data: object, id?: string): void => {
    const head = id === undefined ? '' : `id: ${id}\n`;
    if (!stream.sink.write(`${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)) end(stream);
  };
  const end = (stream: Live): void => {
    streams.delete(stream.id);
    stream.sink.close();
  };
  const cursorOf = ({ zone, digest }: Live): string =>
    toCursorText({ incarnation: ports.incarnation, epoch: zone.epoch, digest });

  const sendConfig = (stream: Live): void => {
    const config = toFeedConfig(stream.zone, stream.gateway.workload, ports.issuer);
    const keys = toFeedKeys(stream.zone);
    const keysText = JSON.stringify(keys);
    if (keysText !== stream.keys) {
      stream.keys = keysText;
      send(stream, 'keys', keys);
    }
    if (config.digest === stream.digest) return;
    stream.digest = config.digest;
    stream.resources = config.resources.map(({ identifier }) => identifier);
    send(stream, 'config', config, cursorOf(stream));
  };

  const heartbeat = (stream: Live): void => {
    if (stream.zone.isUnannounced || !ports.isFresh(stream.zone.snapshot.uid)) return;
    const data: FeedHeartbeat = { nonce: stream.nonce, epoch: stream.zone.epoch };
    send(stream, 'heartbeat', data);
  };

  const tick = (): void => {
    const seconds = ports.clock.now() / 1000;
    for (const stream of [...streams.values()]) {
      const isOver = stream.gateway.expiresAt <= seconds || ports.workloads.alive(stream.gateway.workload) === 'gone';
      if (isOver) end(stream);
      else heartbeat(stream);
    }
  };
  const timer = setInterval(tick, HEARTBEAT_MS).unref();

  const replay = (stream: Live, sinceEpoch: number): void => {
    for (const missed of past.since(stream.zone.snapshot.uid, sinceEpoch)) send(stream, 'epoch', missed);
  };

  return {
    open(gateway, zone, lastEventID, sink) {
      const cursor = lastEventID === undefined ? undefined : parseCursor(lastEventID);
      const isResumed = cursor?.incarnation === ports.incarnation;
      if (isResumed && cursor.epoch > zone.epoch)
        throw toUnavailable('the client has seen a later epoch than this replica');
      const own = [...streams.values()].filter((stream) => isOf(stream, gateway, zone.snapshot.id, undefined));
      own.slice(0, Math.max(0, own.length - MAX_STREAMS + 1)).forEach(end);
      const id = Buffer.from(ports.randomBytes(16)).toString('base64url');
      const stream: Live = {
        ...{ id, zoneID: zone.snapshot.id, gateway, sink, zone },
        ...{ digest: '', keys: '', resources: [], acknowledged: undefined, nonce: null },
        ...{ acknowledgedEpoch: 0, heardAt: ports.clock.monotonic() },
      };
      streams.set(id, stream);
      const hello: FeedHello = { stream_id: id, incarnation: ports.incarnation };
      send(stream, 'hello', hello);
      if (isResumed) replay(stream, cursor.epoch);
      sendConfig(stream);
      heartbeat(stream);
      return stream;
    },
    drop(stream) {
      streams.delete(stream.id);
    },
    acknowledge(gateway, zoneID, ack) {
      const own = [...streams.values()].filter((stream) => isOf(stream, gateway, zoneID, ack.stream_id));
      if (own.length === 0) throw new OAuthError('invalid_request', 'this gateway has no such stream', { status: 404 });
      for (const stream of own) {
        take(stream, ack, ports);
        heartbeat(stream);
      }
    },
    zoneChanged(event) {
      past.add(event);
      for (const stream of [...streams.values()]) {
        if (!isAbout(event, stream)) continue;
        if (!event.after || event.after.snapshot.uid !== stream.zone.snapshot.uid) {
          send(stream, 'config', toClosedConfig(stream.zone, ports.issuer));
          end(stream);
          continue;
        }
        stream.zone = event.after;
        sendConfig(stream);
        if (!event.change) continue;
        send(stream, 'epoch', { epoch: event.after.epoch, change: event.change }, cursorOf(stream));
        heartbeat(stream);
      }
    },
    streams: () => [...streams.values()].map((stream) => toReport(stream, ports.clock.monotonic())),
    close() {
      clearInterval(timer);
      for (const stream of [...streams.values()]) end(stream);
    },
  };
}

/** A zone that was created anew under its name is another: streams of the one before end with it. */
function isAbout({ zoneUID, after }: ZoneEvent, { zoneID, zone }: Live): boolean {
  return zone.snapshot.uid === zoneUID || after?.snapshot.id === zoneID;
}

function isOf(stream: Live, gateway: Gateway, zoneID: string, id: string | undefined): boolean {
  if (stream.zoneID !== zoneID || stream.gateway.workload.podUID !== gateway.workload.podUID) return false;
  return id === undefined || id === stream.id;
}

function take(stream: Live, { digest, cursor, nonce }: FeedAck, ports: FeedHubPorts): void {
  stream.acknowledged = digest;
  stream.acknowledgedEpoch = epochOf(cursor, ports.incarnation) ?? stream.acknowledgedEpoch;
  stream.heardAt = ports.clock.monotonic();
  stream.nonce = nonce;
}

function epochOf(cursor: string, incarnation: string): number | undefined {
  const parsed = parseCursor(cursor);
  return parsed?.incarnation === incarnation ? parsed.epoch : undefined;
}

function toReport(stream: Live, now: number): StreamReport {
  const { id, zoneID, gateway, digest, acknowledged, resources, zone, acknowledgedEpoch, heardAt } = stream;
  const isSilent = now - heardAt > zone.snapshot.staleAfter * 1000;
  const informed = isSilent || acknowledgedEpoch >= zone.epoch;
  return { id, zoneID, gateway, resources, current: acknowledged === digest, informed };
}

/** The last changes of each zone, for gateways that reconnect. */
function createPast() {
  /** By zone UID, oldest first. */
  const past = new Map<string, FeedEpoch[]>();
  return {
    add({ zoneUID, after, change }: ZoneEvent): void {
      if (!after) past.delete(zoneUID);
      if (!after || !change) return;
      past.set(zoneUID, [...(past.get(zoneUID) ?? []), { epoch: after.epoch, change }].slice(-KEPT_CHANGES));
    },
    /** All changes after `epoch`, or none where one of them is not known any more. */
    since(zoneUID: string, epoch: number): readonly FeedEpoch[] {
      const missed = (past.get(zoneUID) ?? []).filter((change) => change.epoch > epoch);
      return missed[0]?.epoch === epoch + 1 ? missed : [];
    },
  };
}
