/** Says when something below the watched folders may have changed: by events where they come, by the clock where not. */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

export interface FolderWatcher {
  /** Watches exactly these folders from now on. */
  follow(folders: readonly string[]): void;
  close(): void;
}

export interface WatcherOptions {
  /** Milliseconds of quiet after an event before `onChange`, so that an editor may finish. */
  readonly debounce: number;
  /** Milliseconds between looks when no event comes (network file systems send none). */
  readonly rescanEvery: number;
}

export function createFolderWatcher({ debounce, rescanEvery }: WatcherOptions, onChange: () => void): FolderWatcher {
  const watchers = new Map<string, FSWatcher>();
  let quiet: NodeJS.Timeout | undefined;
  const onEvent = () => {
    clearTimeout(quiet);
    quiet = setTimeout(onChange, debounce);
  };
  const rescan = setInterval(onChange, rescanEvery);
  const drop = (folder: string) => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const add = (folder: string) => {
    const watcher = watchFolder(folder, onEvent);
    if (!watcher) return;
    watchers.set(folder, watcher);
    watcher.on('error', () => {
      drop(folder);
      onEvent();
    });
  };
  return {
    follow(folders) {
      for (const folder of [...watchers.keys()].filter((folder) => !folders.includes(folder))) drop(folder);
      for (const folder of folders.filter((folder) => !watchers.has(folder))) add(folder);
    },
    close() {
      clearTimeout(quiet);
      clearInterval(rescan);
      for (const folder of [...watchers.keys()]) drop(folder);
    },
  };
}

/** Undefined where the system has no watch to give (limits, file system): the re-scan covers it. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, onEvent);
  } catch {
    return undefined;
  }
}
