/** What a held request meets that presents no challenge: one that stands for the same act, a limit, or nothing. */
import type { Challenge } from './challenge.ts';
import { expireChallenge, isPast, REPLAY_SECONDS } from './challenges.ts';

/** Whose challenges count together: an agent session's, or those of a login without one. */
export interface HoldSession {
  readonly sid: string;
  readonly agentSessionID?: string;
}

export type Standing =
  /** Shared by all that ask for the same; rejected: refused until its time is over. */
  | { readonly type: 'pending' | 'approved' | 'rejected'; readonly challenge: Challenge }
  /** No new one now. */
  | { readonly type: 'limited'; readonly reason: StandingLimit; readonly retryAfterSeconds: number }
  | { readonly type: 'none' };

/** Why no challenge is opened, though none stands. */
export type StandingLimit = 'too_many_pending' | 'backing_off';

/** A person is asked so many questions at once for one session. */
export const MAX_PENDING = 5;

/** Seconds: after the first rejection one, doubling with each, and never more than this. */
const MAX_BACK_OFF = 300;

/** `now` in Unix milliseconds. `challenges` holds at least those of the session that are to be kept (keepUntil). */
export function findStanding(
  challenges: readonly Challenge[],
  binding: string,
  session: HoldSession,
  now: number,
): Standing {
  const current = challenges.map((challenge) => expireChallenge(challenge, now));
  const same = current.filter((challenge) => challenge.binding === binding && !isPast(challenge, now));
  for (const type of ['rejected', 'approved', 'pending'] as const) {
    const challenge = same.find(({ state }) => state === type);
    if (challenge) return { type, challenge };
  }
  const own = current.filter((challenge) => isOf(challenge, session));
  return findBackOff(own, now) ?? findCrowd(own, now) ?? { type: 'none' };
}

/** Unix seconds from which nothing depends on it any more; evidence of it is in the log. */
export function keepUntil({ expiresAt, decision, spent }: Challenge): number {
  const rejected = decision && !decision.approved ? Math.ceil(decision.at / 1000) + MAX_BACK_OFF : 0;
  const replayed = spent ? Math.ceil(spent.at / 1000) + REPLAY_SECONDS : 0;
  return Math.max(expiresAt, rejected, replayed);
}

function isOf(challenge: Challenge, { sid, agentSessionID }: HoldSession): boolean {
  if (agentSessionID !== undefined) return challenge.agentSessionID === agentSessionID;
  return challenge.agentSessionID === undefined && challenge.sid === sid;
}

/** Asking otherwise for what was just refused has to become slow, or people are worn down. */
function findBackOff(own: readonly Challenge[], now: number): Standing | undefined {
  const rejections = own.filter((challenge) => challenge.state === 'rejected' && now < keepUntil(challenge) * 1000);
  if (rejections.length === 0) return undefined;
  const last = Math.max(...rejections.map(({ decision }) => decision?.at ?? 0));
  const wait = Math.min(2 ** Math.min(rejections.length - 1, 16), MAX_BACK_OFF);
  return limit('backing_off', last + wait * 1000, now);
}

function findCrowd(own: readonly Challenge[], now: number): Standing | undefined {
  const pending = own.filter(({ state }) => state === 'pending');
  if (pending.length < MAX_PENDING) return undefined;
  return limit('too_many_pending', Math.min(...pending.map(({ expiresAt }) => expiresAt)) * 1000, now);
}

/** Undefined where it is over. A person may decide long before a challenge ends, so nobody is sent away for longer. */
function limit(reason: StandingLimit, until: number, now: number): Standing | undefined {
  if (now >= until) return undefined;
  return { type: 'limited', reason, retryAfterSeconds: Math.min(Math.ceil((until - now) / 1000), MAX_BACK_OFF) };
}
