/** What passes between the front and the STS: a request that the front authenticated and authorized, and its answer. */
import type { User } from './ports.ts';

export const FRONT_PATH = '/v1/runtime';
/** Of an answer of the runtime API: anything else is of the STS itself, and no answer to the user. */
export const ANSWER_HEADER = 'caracal-runtime-answer';

/** The JSON body of a POST to FRONT_PATH. */
export interface Forwarded {
  /** As the API server authenticated them. */
  readonly user: User;
  readonly method: string;
  readonly url: string;
  readonly accept?: string;
  readonly body?: string;
}
