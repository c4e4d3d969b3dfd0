/** Splits a byte stream into lines without decoding: a character that spans two chunks is never broken. */

const NEWLINE = 0x0a;

/** Each line without its newline; a last line without one is dropped, for it was cut off. Throws above `maxBytes`. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes = 16 * 1024 * 1024,
): AsyncGenerator<Buffer> {
  let rest: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield Buffer.concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      size = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    rest.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > maxBytes) throw new Error(`a line of the stream is longer than ${maxBytes} bytes`);
  }
}
