/** A feed stream as an HTTP response: server-sent events (WHATWG HTML §9.2) that end with the connection. */
import type { FastifyReply } from 'fastify';
import type { FeedHub, FeedSink, FeedStream } from './hub.ts';

/** A gateway that leaves this much unread is cut off: it reconnects and starts from a whole configuration. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

export function openFeed(reply: FastifyReply, open: (sink: FeedSink) => FeedStream, hub: Pick<FeedHub, 'drop'>): void {
  const { raw } = reply;
  let started = false;
  const sink: FeedSink = {
    write(text) {
      if (!started) {
        started = true;
        reply.hijack();
        raw.writeHead(200, {
          'Content-Type': 'text/event-stream',
          'Cache-Control': 'no-store',
          'X-Request-Id': reply.request.id,
        });
        raw.flushHeaders();
      }
      raw.write(text);
      return raw.writableLength < MAX_UNREAD_BYTES;
    },
    close: () => void raw.end(),
  };
  const stream = open(sink);
  raw.on('close', () => hub.drop(stream));
}
