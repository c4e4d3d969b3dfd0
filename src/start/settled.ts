/** Waits until every object has its verdict, so that "ready" means what it says. */
import type { FolderSource } from '../up/source.ts';
import { toSummaries } from '../up/summaries.ts';

/** Reasons that pass by themselves within a moment. */
const PASSING: ReadonlySet<string> = new Set(['Pending', 'NoReplica', 'KeysPending']);

/** What hangs for longer hangs on something else than the start. */
const LIMIT_MS = 20_000;

/** Resolves when no object's state is still on its way, or after the limit (the table then shows which), or to end. */
export async function untilSettled(source: FolderSource, stopped: AbortSignal): Promise<void> {
  let stop: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    const look = () => {
      if (isSettled(source)) resolve();
    };
    stop = source.onChange(look);
    timer = setTimeout(resolve, LIMIT_MS);
    stopped.addEventListener('abort', () => resolve(), { once: true });
    look();
  });
  stop();
  clearTimeout(timer);
}

function isSettled(source: FolderSource): boolean {
  const summaries = [...toSummaries(source.world()).values()];
  return summaries.every(({ status, reason }) => status !== '' && !PASSING.has(reason));
}
