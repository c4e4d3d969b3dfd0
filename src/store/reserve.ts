/** Room on the disk that is kept for what takes authority away: a full disk must not stop a revocation (security.md 27). */
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';

export interface Reserve {
  /** Makes sure of it; false where there is no room for it now. `now`: Unix milliseconds. */
  keep(now: number): boolean;
  /** Gives its room to what is written next. */
  release(): void;
}

/** A revocation takes some 40 KiB of SQLite's log, which is used anew from its beginning after 4 MiB. */
const BYTES = 4 * 1024 * 1024;
const RETRY_MS = 1000;

/** As a file beside the database at `path`. */
export function createReserve(path: string): Reserve {
  const file = `${path}.reserve`;
  let isKept = false;
  let retryAt = 0;
  return {
    keep(now) {
      if (isKept || now < retryAt) return isKept;
      isKept = isWhole(file) || fill(file);
      if (!isKept) retryAt = now + RETRY_MS;
      return isKept;
    },
    release() {
      rmSync(file, { force: true });
      isKept = false;
    },
  };
}

function isWhole(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.size === BYTES;
}

/** Written, and not only made so long: a hole keeps no room. Half of it would be of no use to anyone. */
function fill(file: string): boolean {
  const block = Buffer.alloc(1024 * 1024, 0xff);
  try {
    const descriptor = openSync(file, 'w', 0o600);
    try {
      for (
        let written = 0;
        written < BYTES;
        written += writeSync(descriptor, block, 0, Math.min(block.length, BYTES - written))
      );
    } finally {
      closeSync(descriptor);
    }
    return true;
  } catch {
    rmSync(file, { force: true });
    return false;
  }
}
