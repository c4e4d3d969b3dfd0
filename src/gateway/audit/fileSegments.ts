/** Segments as files of a folder: what is written there outlives the process, and is delivered by the next one. */
import { mkdir, open, readdir, readFile, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidv7 } from '../../authority/clock.ts';
import { lockFolder, type FolderLock } from './folderLock.ts';
import { parseLines, SEGMENT_BYTES, type SegmentPorts, type Segments, type Waiting } from './segments.ts';

/** `<spool>.<sequence>.jsonl`: each life of a process is a spool of its own, so that no sequence is ever given twice. */
const NAME = /^([0-9a-f-]{36})\.(\d{10})\.jsonl$/;

interface Segment {
  readonly path: string;
  readonly spool: string;
  readonly sequence: number;
  bytes: number;
  /** Open for more. */
  file: FileHandle | undefined;
}

/** Makes the folder where it is missing. Rejects where another process works with it, or it cannot be used. */
export async function openFileSegments(folder: string, { clock, randomBytes }: SegmentPorts): Promise<Segments> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder);
  const spool = uuidv7(clock.now(), randomBytes);
  const segments = await findSegments(folder, lock);
  let sequence = 0;
  let total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  /** One change of the files after the other. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const done = turn.then(act);
    turn = done.catch(() => undefined);
    return done;
  };

  const begin = async (): Promise<Segment> => {
    const name = `${spool}.${String(sequence + 1).padStart(10, '0')}.jsonl`;
    const path = join(folder, name);
    const file = await open(path, 'w', 0o600);
    sequence += 1;
    const segment: Segment = { path, spool, sequence, bytes: 0, file };
    segments.push(segment);
    await syncFolder(folder);
    return segment;
  };
  const seal = async (segment: Segment): Promise<void> => {
    const { file } = segment;
    segment.file = undefined;
    // Cuts off what a write that failed may have left.
    await file?.truncate(segment.bytes);
    await file?.close();
  };

  return {
    append: (lines) =>
      inTurn(async () => {
        const last = segments.at(-1);
        const segment = last?.file ? last : await begin();
        const bytes = Buffer.from(lines);
        await writeAt(segment.file!, bytes, segment.bytes);
        await segment.file!.datasync();
        segment.bytes += bytes.length;
        total += bytes.length;
        if (segment.bytes >= SEGMENT_BYTES) await seal(segment);
      }),
    oldest: (seals) =>
      inTurn(async (): Promise<Waiting | undefined> => {
        const [first] = segments;
        if (!first || (first.file && (first.bytes === 0 || !seals))) return undefined;
        if (first.file) await seal(first);
        const { requests, lost } = parseLines(await readFile(first.path, 'utf8'));
        const { path, spool: life, sequence: number } = first;
        const remove = () =>
          inTurn(async () => {
            await unlink(path);
            segments.splice(segments.indexOf(first), 1);
            total -= first.bytes;
          });
        return { batch: { spool: life, sequence: number, requests, ...(lost !== undefined && { lost }) }, remove };
      }),
    bytes: () => total,
    close: () =>
      inTurn(async () => {
        for (const segment of segments) if (segment.file) await seal(segment);
        await lock.release();
      }),
  };
}

/** What an earlier process left, oldest first: ids of spools are in the order of time. */
async function findSegments(folder: string, lock: FolderLock): Promise<Segment[]> {
  try {
    const names = (await readdir(folder)).filter((name) => NAME.test(name)).sort();
    return await Promise.all(
      names.map(async (name) => {
        const [, spool = '', sequence] = NAME.exec(name)!;
        const path = join(folder, name);
        return { path, spool, sequence: Number(sequence), bytes: (await stat(path)).size, file: undefined };
      }),
    );
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Always at the same place: what an earlier attempt wrote in part is written over. */
async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** A file whose name is not on the disk is lost with the machine. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
