/** The key of the seals on rows that carry authority, beside the store and never in it: who writes the database cannot seal. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeWhole } from './keyFile.ts';
import { createSeal, type Seal } from './seal.ts';

const BYTES = 32;

export function sealKeyPath(storePath: string): string {
  return `${storePath}.seal.key`;
}

/** For a store that has no seals yet: made where there is none. */
export function makeSeal(path: string): Seal {
  if (!existsSync(path)) writeWhole(path, `${randomBytes(BYTES).toString('base64url')}\n`, 0o600);
  return readSeal(path);
}

/** Throws where there is none, or one that is damaged; the message names the file. */
export function readSeal(path: string): Seal {
  if (!existsSync(path)) {
    throw new Error(`${path} is gone: restore it, since without it no row of the store can be told from a forged one`);
  }
  const text = readFileSync(path, 'utf8').trim();
  const key = Buffer.from(text, 'base64url');
  if (key.length !== BYTES || key.toString('base64url') !== text) {
    throw new Error(`${path} holds no key of ${BYTES} bytes in base64url: restore it`);
  }
  return createSeal(key);
}

/** `proof`: what the store remembers of the key that its rows were sealed with. */
export function checkSealProof(seal: Seal, proof: string | undefined, path: string): void {
  if (proof === seal.proof) return;
  throw new Error(`${path} is not the key that the store was sealed with: restore the two together`);
}
