/** Signed notes (C2SP signed-note): a text and an Ed25519 signature under a named key; keys in the form that verifiers exchange. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';

export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of SHA-256 over name, line feed, algorithm and key; hexadecimal. */
  readonly id: string;
  /** `name+id+base64(algorithm and key)`. */
  readonly text: string;
  readonly key: KeyObject;
}

export interface NoteSigner {
  readonly verifier: NoteVerifier;
  readonly key: KeyObject;
}

export type OpenedNote =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: 'malformed' | 'unknown-key' | 'forged' };

const ED25519 = 0x01;
/** Of SubjectPublicKeyInfo (RFC 8410 §4): what is left is the key. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** PKCS #8 in PEM. */
export function generateNoteKey(): string {
  return String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

/** Throws where the PEM holds no Ed25519 key. */
export function createNoteSigner(name: string, pem: string): NoteSigner {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('the key is not an Ed25519 key');
  return { key, verifier: toVerifier(name, createPublicKey(key)) };
}

/** Throws where it is no verifier key of the C2SP form. */
export function parseNoteVerifier(text: string): NoteVerifier {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  const bytes = Buffer.from(match?.[3] ?? '', 'base64');
  if (!match || bytes.length !== 33 || bytes[0] !== ED25519) throw new Error('it is no verifier key NAME+ID+KEY');
  const der = Buffer.concat([SPKI_PREFIX, bytes.subarray(1)]);
  const verifier = toVerifier(match[1]!, createPublicKey({ key: der, format: 'der', type: 'spki' }));
  if (verifier.text !== text) throw new Error('the id of the key is not that of its bytes: it was copied wrongly');
  return verifier;
}

/** `text` ends in a line feed. */
export function signNote(text: string, { verifier, key }: NoteSigner): string {
  const signature = Buffer.concat([Buffer.from(verifier.id, 'hex'), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${verifier.name} ${signature.toString('base64')}\n`;
}

/** Exactly one signature, by one of these keys, in exactly the bytes that signNote makes. */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote {
  const match = /^([^]*\n)\n— (\S+) ([A-Za-z0-9+/=]+)\n$/.exec(note);
  if (!match) return { ok: false, reason: 'malformed' };
  const [, text = '', name, encoded = ''] = match;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length !== 68 || bytes.toString('base64') !== encoded) return { ok: false, reason: 'malformed' };
  const id = bytes.subarray(0, 4).toString('hex');
  const verifier = verifiers.find((known) => known.name === name && known.id === id);
  if (!verifier) return { ok: false, reason: 'unknown-key' };
  const holds = verify(null, Buffer.from(text), verifier.key, bytes.subarray(4));
  return holds ? { ok: true, text } : { ok: false, reason: 'forged' };
}

function toVerifier(name: string, key: KeyObject): NoteVerifier {
  const bytes = Buffer.concat([
    Buffer.of(ED25519),
    key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length),
  ]);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), bytes]), 'hex').slice(0, 8);
  return { name, id, text: `${name}+${id}+${bytes.toString('base64')}`, key };
}
