/** Server-sent events (WHATWG HTML §9.2) as the STS writes them: chunks of text → events, within a bound. */

export interface FeedEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

const MAX_EVENT_CHARACTERS = 32 * 1024 * 1024;

/** Feeds chunks, returns the events that they complete. Throws where one event is larger than any of ours can be. */
export function createEventParser(): (chunk: string) => readonly FeedEvent[] {
  let rest = '';
  return (chunk) => {
    rest += chunk;
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > MAX_EVENT_CHARACTERS) throw new Error('an event of the feed is too large');
    return blocks.filter((block) => block !== '').map(toEvent);
  };
}

function toEvent(block: string): FeedEvent {
  let [event, id, data] = ['message', undefined as string | undefined, ''];
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) data += line.slice(6);
    else if (line.startsWith('event: ')) event = line.slice(7);
    else if (line.startsWith('id: ')) id = line.slice(4);
  }
  return { event, id, data };
}
