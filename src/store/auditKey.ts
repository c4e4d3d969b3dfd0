/** The key that signs the log, beside the store: made once, read by its owner only; its public half in a file of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { KEY_NAME } from '../audit/checkpoint.ts';
import { createNoteSigner, generateNoteKey, type NoteSigner } from '../audit/note.ts';
import { writeWhole } from './keyFile.ts';

/** Every public half that there ever was, one a line: what an older key has signed can still be verified. */
export function publicKeyPath(storePath: string): string {
  return `${storePath}.audit.pub`;
}

/** For the store's thread, which holds the lock. A key that is gone is made anew, which whoever pinned the old one sees. */
export function openAuditKey(storePath: string): NoteSigner {
  const path = privateKeyPath(storePath);
  if (!existsSync(path)) writeWhole(path, generateNoteKey(), 0o600);
  const signer = readAuditKey(storePath);
  const known = existsSync(publicKeyPath(storePath)) ? readFileSync(publicKeyPath(storePath), 'utf8') : '';
  const { text } = signer.verifier;
  if (!known.split('\n').includes(text)) writeWhole(publicKeyPath(storePath), `${known}${text}\n`, 0o644);
  return signer;
}

/** Throws where there is none, or one that is damaged; the message names the file. */
export function readAuditKey(storePath: string): NoteSigner {
  const path = privateKeyPath(storePath);
  try {
    return createNoteSigner(KEY_NAME, readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} holds no Ed25519 key: restore it, or move it away to have another made`, { cause: error });
  }
}

function privateKeyPath(storePath: string): string {
  return `${storePath}.audit.key`;
}
