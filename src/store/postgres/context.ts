/** What reading and writing in one database have in common. */
import type { Clock } from '../../authority/clock.ts';
import type { Seal } from '../seal.ts';
import type { Reached } from './life.ts';
import type { Sessions } from './sessions.ts';

export interface Context {
  readonly sessions: Sessions;
  readonly seal: Seal;
  readonly incarnation: string;
  readonly reached: Reached;
  readonly clock: Pick<Clock, 'now'>;
}
