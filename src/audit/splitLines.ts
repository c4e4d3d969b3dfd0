/** Bytes as lines, each without its line feed: no other character ends a line. */

const LINE_FEED = 0x0a;

/** Far above any record; what is longer is no line of ours. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

export interface Line {
  readonly bytes: Uint8Array;
  /** False for the last one where the file does not end in a line feed. */
  readonly isWhole: boolean;
}

/** Throws at a line of more than 16 MiB. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let rest: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      yield { bytes: Buffer.concat([...rest, chunk.subarray(start, end)]), isWhole: true };
      [rest, size, start] = [[], 0, end + 1];
    }
    if (start === chunk.length) continue;
    rest.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > MAX_LINE_BYTES) throw new Error(`a line has more than ${MAX_LINE_BYTES} bytes: this is no export`);
  }
  if (size > 0) yield { bytes: Buffer.concat(rest), isWhole: false };
}
