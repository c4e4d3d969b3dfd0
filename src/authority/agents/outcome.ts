/** What a command on the runtime state comes to: what is written, and what the caller is told. */
import type { AuthorityChange } from '../feed.ts';
import type { RuntimeObject } from '../runtime.ts';

export interface Changed<T> {
  readonly type: 'changed';
  /** Nothing where it was so already. */
  readonly puts: readonly RuntimeObject[];
  /** Authority that issued mandates rest on was taken away. */
  readonly change?: AuthorityChange;
  readonly result: T;
}

export function changed<T>(result: T, puts: readonly RuntimeObject[], change?: AuthorityChange): Changed<T> {
  return { type: 'changed', puts, ...(change && { change }), result };
}
