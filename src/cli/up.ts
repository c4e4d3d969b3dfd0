/** `caracal up`: starts everything over a folder of manifests, then tells what it serves and what changes. */
import { resolve } from 'node:path';
import type { FolderReport } from '../up/source.ts';
import { toSummaries, toTransitions } from '../up/summaries.ts';
import { parsePort } from './listen.ts';
import { findOPA, opaCache } from './opaBinary.ts';
import { CommandError, untilStopped } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { LogLevel, RunningUp, Starters, UpStart } from './starters.ts';
import { toJSONVoice, toTextVoice } from './upText.ts';
import type { UpVoice } from './upText.ts';

export interface UpOptions {
  readonly manifests: readonly string[];
  readonly data: string;
  readonly port: string;
  readonly output: 'table' | 'json';
  readonly namespace: string;
  readonly opa?: string;
  readonly allowJwksRange?: readonly string[];
  readonly allowUpstreamRange?: readonly string[];
  readonly logLevel: LogLevel;
}

/** What is not done by then is left to the end of the process. */
const CLOSING_MS = 4000;

export async function runUp(options: UpOptions, starters: Starters, runtime: Runtime): Promise<ExitCode> {
  const data = resolve(runtime.cwd, options.data);
  const port = parsePort(options.port, '--port');
  const up = await start(
    {
      paths: options.manifests,
      data,
      port,
      namespace: options.namespace,
      opa: await findOPA(options.opa, runtime),
      opaCache: opaCache(runtime),
      allowJWKSRanges: options.allowJwksRange ?? [],
      allowUpstreamRanges: options.allowUpstreamRange ?? [],
      logLevel: options.logLevel,
    },
    starters,
    runtime,
  );
  const stopTelling = tell(up, options.output === 'json' ? toJSONVoice() : toTextVoice(options.data), runtime);
  await untilStopped(runtime);
  stopTelling();
  const closed = await within(CLOSING_MS, up.close());
  if (!closed) runtime.err('error: not everything ended in time; what was answered is on disk all the same\n');
  return closed ? 0 : 1;
}

async function start(up: UpStart, starters: Starters, runtime: Runtime): Promise<RunningUp> {
  try {
    return await starters.up(up, runtime);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error;
    const why = `--port ${up.port}: ${up.port} and ${up.port + 1} must be free`;
    throw new CommandError(`${why} (${error.message}); choose another --port`, 1, { cause: error });
  }
}

/** Prints the ready line, then every change of a file's problems and of an object's state. Returns how to stop. */
function tell({ ready, source }: RunningUp, voice: UpVoice, { out, err }: Runtime): () => void {
  let summaries = toSummaries(source.world());
  let report: FolderReport = { problems: [], notes: [] };
  const say = voice.toError ? err : out;
  out(voice.ready(ready, [...summaries.values()]));
  const tellReport = (next: FolderReport) => {
    const before = report;
    report = next;
    for (const line of voice.problems(before.problems, next.problems)) say(line);
    for (const line of voice.notes(before.notes, next.notes)) say(line);
  };
  tellReport(source.report());
  const stopReport = source.onReport(tellReport);
  const stopChange = source.onChange(() => {
    const next = toSummaries(source.world());
    for (const transition of toTransitions(summaries, next)) out(voice.transition(transition));
    summaries = keepLast(summaries, next);
  });
  return () => {
    stopReport();
    stopChange();
  };
}

/** An edited object has no verdict of its new generation for a moment: what it was before is what it is compared with. */
function keepLast(
  before: ReturnType<typeof toSummaries>,
  after: ReturnType<typeof toSummaries>,
): ReturnType<typeof toSummaries> {
  return new Map(
    [...after].map(([key, summary]) => [key, summary.status === '' ? (before.get(key) ?? summary) : summary]),
  );
}

async function within(milliseconds: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((done) => {
    timer = setTimeout(() => done(false), milliseconds);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
