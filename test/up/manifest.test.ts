/** Manifest files as text: documents with their lines, lists, and what cannot be parsed. */
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../src/up/manifest.ts';

const TWO = `# a comment
kind: Zone
metadata:
  name: shop
spec:
  subjectIssuers:
    - name: corp
      issuer: https://login.example.com
---
kind: Grant
metadata: {name: read}
`;

describe('a manifest file', () => {
  it('gives each document the line where it begins', () => {
    expect(parseManifest(TWO, 'a.yaml').documents.map(({ line }) => line)).toEqual([2, 10]);
  });

  it('finds the line of a field, or of the nearest parent that is written', () => {
    const [zone] = parseManifest(TWO, 'a.yaml').documents;
    const lines = ['spec.subjectIssuers[0].issuer', 'spec.subjectIssuers[0].jwks', 'spec.tokens', 'status', ''];
    expect(lines.map((path) => zone!.lineOf(path))).toEqual([8, 7, 5, 2, 2]);
  });

  it('takes a List apart, with the lines of its items', () => {
    const text = 'apiVersion: v1\nkind: List\nitems:\n  - kind: Zone\n    metadata: {name: a}\n  - kind: Grant\n';
    const { documents } = parseManifest(text, 'list.yaml');
    expect(documents.map(({ value, line }) => [value, line])).toEqual([
      [{ kind: 'Zone', metadata: { name: 'a' } }, 4],
      [{ kind: 'Grant' }, 6],
    ]);
    expect(documents[0]!.lineOf('metadata.name')).toBe(5);
  });

  it('reads JSON', () => {
    const [document] = parseManifest('{\n\t"kind": "Zone",\n\t"spec": {"a": true}\n}', 'a.json').documents;
    expect(document!.value).toEqual({ kind: 'Zone', spec: { a: true } });
    expect(document!.lineOf('spec.a')).toBe(3);
  });

  it('reads the booleans of YAML 1.1, as kubectl does', () => {
    const [document] = parseManifest('a: yes\nb: off\nc: "yes"\nd: 12:30\n', 'a.yaml').documents;
    expect(document!.value).toEqual({ a: true, b: false, c: 'yes', d: '12:30' });
  });

  it('passes over empty documents and comments', () => {
    expect(parseManifest('---\n# nothing\n---\n', 'a.yaml').documents).toEqual([]);
    expect(parseManifest('', 'a.yaml').documents).toEqual([]);
  });

  const wrong: Readonly<Record<string, readonly [text: string, line: number, message: RegExp]>> = {
    'an unclosed sequence': ['kind: Zone\nspec: [\nx: 1\n', 3, /not valid YAML/],
    'a key given twice': ['kind: Zone\nkind: Grant\n', 2, /Map keys must be unique/],
    'an alias without anchor': ['kind: *zone\n', 1, /Unresolved alias/],
    'a tab as indentation': ['spec:\n\ta: 1\n', 2, /not valid YAML/],
  };
  for (const [name, [text, line, message]] of Object.entries(wrong)) {
    it(`reports ${name} with its line, and gives no document at all`, () => {
      const { documents, problems } = parseManifest(`${text}`, 'bad.yaml');
      expect(documents).toEqual([]);
      expect(problems[0]).toMatchObject({ file: 'bad.yaml', line, message: expect.stringMatching(message) as string });
    });
  }

  it('refuses an alias bomb instead of expanding it', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(',')}]`);
    const { documents, problems } = parseManifest(`l0: &l0 [x]\n${levels.join('\n')}\n`, 'bomb.yaml');
    expect(documents).toEqual([]);
    expect(problems[0]!.message).toMatch(/Excessive alias count/);
  });
});
