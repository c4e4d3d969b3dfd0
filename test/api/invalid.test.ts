/** Every file of test/invalid is refused by a real API server and by the offline validator, both saying its first line. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { CONTROLLER, create, replace, type Answer, type Manifest, type SendOptions } from './apiServer.ts';

const root = join(import.meta.dirname, '../invalid');

interface InvalidFile {
  readonly path: string;
  /** What the refusal must contain. */
  readonly text: string;
  /** What exists before, for refusals of a change. */
  readonly before: Manifest | undefined;
  readonly object: Manifest;
}

function readInvalid(path: string): InvalidFile {
  const source = readFileSync(join(root, path), 'utf8');
  const text = /^# refused: (.+)\n/.exec(source)?.[1];
  if (text === undefined) throw new Error(`${path}: the first line must be "# refused: <text>"`);
  const documents = parseAllDocuments(source).map((document) => document.toJS() as Manifest);
  return { path, text, before: documents.length === 2 ? documents[0] : undefined, object: documents.at(-1)! };
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.yaml'))
  .sort()
  .map(readInvalid);

/** Revisions are the controller's to write; this is about their content. */
const writerOf = ({ kind }: Manifest): SendOptions => (kind === 'PolicySetRevision' ? { as: CONTROLLER } : {});

async function askServer(cluster: Cluster, { before, object }: InvalidFile): Promise<Answer> {
  if (!before) return create(cluster, object, writerOf(object));
  const created = await create(cluster, before, { ...writerOf(before), dryRun: false });
  expect(created.message).toBe('');
  return replace(cluster, object, writerOf(object));
}

/** Refusals of the object; of what it replaces there must be none. */
function askOffline({ before, object }: InvalidFile) {
  const old = before && validateObject(before);
  expect(old?.ok ?? true).toBe(true);
  const result = validateObject(object, old?.ok ? old.object : undefined);
  return result.ok ? [] : result.refused;
}

describe('test/invalid', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.installCRDs();
  }, 120_000);
  afterAll(() => cluster?.stop());

  it('has refused objects of every kind, and at least 80', () => {
    expect(new Set(files.map(({ object }) => object.kind))).toEqual(new Set(KINDS.map(({ kind }) => kind)));
    expect(files.length).toBeGreaterThanOrEqual(80);
  });

  it.each(files)('$path is refused by both: $text', async (file) => {
    const { ok, message } = await askServer(cluster, file);
    const refused = askOffline(file);
    expect(ok).toBe(false);
    expect(message).toContain(file.text);
    expect(refused.map((refusal) => `${refusal.path}: ${refusal.message}`).join('\n')).toContain(file.text);
    expect(refused.filter(({ path }) => message.includes(toServerPath(path)))).not.toEqual([]);
  });
});

/** The API server names the labels as a whole. */
function toServerPath(path: string): string {
  return path.startsWith('metadata.labels') ? 'metadata.labels' : path;
}
