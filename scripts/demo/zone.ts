/** Writes the demo's identity provider into a copy of the quickstart's Zone. */
import { readFile, writeFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import type { PublicJWK } from '../../src/authority/snapshot.ts';

/** YAML 1.1, since that is what kubectl reads: there a bare `y` is a boolean. */
export async function withIdentityProvider(file: string, key: PublicJWK): Promise<void> {
  const document = parseDocument(await readFile(file, 'utf8'), { version: '1.1' });
  document.setIn(['spec', 'subjectIssuers', 0, 'jwks', 'keys', 0], document.createNode(key));
  await writeFile(file, document.toString());
}
