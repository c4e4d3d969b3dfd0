/** Reads one file out of the tar that `opa build` writes (POSIX.1-1988 ustar). */

const BLOCK = 512;

/** The bytes of the entry, which are a view into `archive`. Throws RangeError where there is none. */
export function readTarEntry(archive: Uint8Array, name: string): Uint8Array {
  for (let at = 0; at + BLOCK <= archive.byteLength;) {
    const header = archive.subarray(at, at + BLOCK);
    const size = Number.parseInt(toText(header.subarray(124, 136)), 8);
    if (Number.isNaN(size)) break;
    const start = at + BLOCK;
    if (toText(header.subarray(0, 100)) === name) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw new RangeError(`the bundle has no ${name}`);
}

function toText(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end))
    .toString('latin1')
    .trim();
}
