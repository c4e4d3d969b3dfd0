/** A folder of manifests in a temporary place, and a source over it; waiting is on changes, never on time. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createFolderSource, type FolderReport, type FolderSource } from '../../src/up/source.ts';
import type { World } from '../../src/compiler/world.ts';

export interface Folder {
  readonly manifests: string;
  readonly data: string;
  write(name: string, text: string): Promise<void>;
  /** As editors save: a new file renamed over the old one. */
  save(name: string, text: string): Promise<void>;
  move(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** A started source; it is closed with the folder. */
  open(): Promise<FolderSource>;
  close(): Promise<void>;
}

export async function createFolder(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
  const root = await mkdtemp(join(tmpdir(), 'caracal-folder-'));
  const manifests = join(root, 'manifests');
  const data = join(root, 'data');
  const sources: FolderSource[] = [];
  const path = (name: string) => join(manifests, name);
  const write = async (name: string, text: string) => {
    await mkdir(dirname(path(name)), { recursive: true });
    await writeFile(path(name), text);
  };
  await mkdir(manifests);
  for (const [name, text] of Object.entries(files)) await write(name, text);
  return {
    manifests,
    data,
    write,
    async save(name, text) {
      await writeFile(path(`.${name}.swp`), text);
      await rename(path(`.${name}.swp`), path(name));
    },
    move: (from, to) => rename(path(from), path(to)),
    remove: (name) => rm(path(name), { recursive: true }),
    async open() {
      const source = createFolderSource(
        { paths: [manifests], data, systemNamespace: 'caracal-system', debounce: 10, rescanEvery: 200 },
        {
          clock: { now: () => Date.now(), monotonic: () => performance.now() },
          randomBytes,
          onError: (error) => {
            throw error;
          },
        },
      );
      sources.push(source);
      await source.start();
      return source;
    },
    async close() {
      await Promise.all(sources.map((source) => source.close()));
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Resolves with the first world, now or after a change, that `wanted` accepts. */
export function untilWorld(source: FolderSource, wanted: (world: World) => boolean): Promise<World> {
  return new Promise((resolve) => {
    const look = () => {
      const world = source.world();
      if (!wanted(world)) return;
      stop();
      resolve(world);
    };
    const stop = source.onChange(look);
    look();
  });
}

/** Resolves with the first report, now or after a change, that `wanted` accepts. */
export function untilReport(source: FolderSource, wanted: (report: FolderReport) => boolean): Promise<FolderReport> {
  return new Promise((resolve) => {
    const look = (report: FolderReport) => {
      if (!wanted(report)) return;
      stop();
      resolve(report);
    };
    const stop = source.onReport(look);
    look(source.report());
  });
}

export const ZONE = manifest('Zone', 'shop', '{}');

/** A manifest of ours in the namespace `shop`. */
export function manifest(kind: string, name: string, spec: string): string {
  return `apiVersion: caracal.run/v1alpha1
kind: ${kind}
metadata: {name: ${name}, namespace: shop}
spec: ${spec}
`;
}

export function application(name: string, serviceAccount: string, zone = 'shop'): string {
  return manifest(
    'Application',
    name,
    `{zoneRef: {name: ${zone}}, identities: [{serviceAccount: {name: ${serviceAccount}}}]}`,
  );
}
