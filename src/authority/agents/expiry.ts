/** What has come to its end by time, with all that hangs on it: swept, so that mandates of it end before their own time. */
import type { RuntimeView } from '../runtimeIndex.ts';
import { isSessionOver } from './alive.ts';
import { endTogether, isClosed, type Cascade } from './cascade.ts';

/** Undefined where nothing is over. `now` in Unix milliseconds. */
export function endExpired(runtime: RuntimeView, now: number): Cascade | undefined {
  const seconds = Math.floor(now / 1000);
  const sessions = [...runtime.sessions()].filter((session) => !isClosed(session) && isSessionOver(session, seconds));
  const edges = [...runtime.edges()].filter(({ status, expiresAt }) => status === 'active' && expiresAt <= seconds);
  if (sessions.length === 0 && edges.length === 0) return undefined;
  const expired = new Set(sessions.map(({ id }) => id));
  return endTogether({ sessions, edges }, runtime, now, ({ id }) => (expired.has(id) ? 'expired' : 'ended'));
}
