/** Signed notes, against the published example of their specification. */
import { describe, expect, it } from 'vitest';
import { createNoteSigner, generateNoteKey, openNote, parseNoteVerifier, signNote } from '../../src/audit/note.ts';

const PUBLISHED_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PUBLISHED_TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PUBLISHED_NOTE = `${PUBLISHED_TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;

describe('a signed note', () => {
  it('of another implementation is opened', () => {
    expect(openNote(PUBLISHED_NOTE, [parseNoteVerifier(PUBLISHED_KEY)])).toEqual({ ok: true, text: PUBLISHED_TEXT });
  });

  it('of ours is opened with the key as it is printed', () => {
    const signer = createNoteSigner('caracal.run/audit', generateNoteKey());
    const note = signNote('one\ntwo\n', signer);
    expect(openNote(note, [parseNoteVerifier(signer.verifier.text)])).toEqual({ ok: true, text: 'one\ntwo\n' });
  });

  const verifier = parseNoteVerifier(PUBLISHED_KEY);
  const changed: Readonly<Record<string, readonly [note: string, reason: string]>> = {
    'with a changed text': [PUBLISHED_NOTE.replace('answer', 'Answer'), 'forged'],
    'with a changed signature': [PUBLISHED_NOTE.replace('ZJkuBS', 'ZJkuBT'), 'forged'],
    'with another name': [PUBLISHED_NOTE.replace('— Peter', '— Pieter'), 'unknown-key'],
    'with another key id': [PUBLISHED_NOTE.replace(' x08g', ' x18g'), 'unknown-key'],
    'with a signature cut off': [PUBLISHED_NOTE.replace('BwJnAM=', ''), 'malformed'],
    'without a signature': [PUBLISHED_TEXT, 'malformed'],
    'with its signature twice': [`${PUBLISHED_NOTE}${PUBLISHED_NOTE.slice(PUBLISHED_NOTE.indexOf('—'))}`, 'malformed'],
    'without its last line feed': [PUBLISHED_NOTE.trimEnd(), 'malformed'],
  };
  for (const [name, [note, reason]] of Object.entries(changed)) {
    it(`is refused ${name}`, () => {
      expect(openNote(note, [verifier])).toEqual({ ok: false, reason });
    });
  }

  it('is not opened with a key that was copied wrongly', () => {
    expect(() => parseNoteVerifier(PUBLISHED_KEY.replace('ARpc', 'ARpd'))).toThrow('it was copied wrongly');
    expect(() => parseNoteVerifier('no key')).toThrow('it is no verifier key');
  });
});
