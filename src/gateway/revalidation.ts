/** Asks the STS once per mandate and epoch whether it would still be issued: batched, bounded in time. */
import type { Clock } from '../authority/clock.ts';
import type { RevalidateResponse } from '../authority/feed.ts';
import { STSRefused, type STSClient } from './stsClient.ts';

export type Revalidated =
  | { readonly valid: true; /** The epoch under which that holds. */ readonly epoch: number }
  | { readonly valid: false; readonly reason: string }
  /** No answer in time. */
  | undefined;

export interface Revalidation {
  /** Requests for one mandate at a time share one question. */
  ask(jti: string, token: string): Promise<Revalidated>;
}

export interface RevalidationPorts {
  readonly sts: Pick<STSClient, 'revalidate'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  epoch(): number;
}

const WAIT_MS = 1000;
/** The STS could not evaluate the policy: that denies now, and says nothing about the mandate for good. */
const UNDECIDED = 'PolicyFailed';
const MAX_BATCH = 256;
const MAX_WAITING = 10_000;
const RETRY_MS = 50;

interface Question {
  readonly jti: string;
  readonly token: string;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly answer: (answer: Revalidated) => void;
}

export function createRevalidation({ sts, clock, epoch }: RevalidationPorts): Revalidation {
  const pending = new Map<string, Promise<Revalidated>>();
  let queue: Question[] = [];
  let running = false;

  const run = async (): Promise<void> => {
    running = true;
    while (queue.length > 0) {
      const batch = queue.slice(0, MAX_BATCH);
      queue = queue.slice(MAX_BATCH);
      const answers = await askOnce(batch);
      const isUnanswered = answers === undefined;
      if (isUnanswered) await waitBriefly();
      batch.forEach((question, index) => settle(question, answers, index));
    }
    running = false;
  };

  const askOnce = async (batch: readonly Question[]): Promise<RevalidateResponse | undefined> => {
    try {
      return await sts.revalidate({ mandates: batch.map(({ token }) => token), min_epoch: epoch() });
    } catch (error) {
      // 4xx but 409 will not change by asking again; the requests are refused when their time is over either way.
      if (error instanceof STSRefused || error instanceof Error) return undefined;
      throw error;
    }
  };

  const settle = (question: Question, answers: RevalidateResponse | undefined, index: number): void => {
    const result = answers?.results[index];
    if (result?.reason === UNDECIDED) question.answer(undefined);
    else if (result && answers)
      question.answer(
        result.valid ? { valid: true, epoch: answers.epoch } : { valid: false, reason: result.reason ?? 'denied' },
      );
    else if (clock.monotonic() >= question.deadline) question.answer(undefined);
    else queue.push(question);
  };

  return {
    ask(jti, token) {
      const known = pending.get(jti);
      if (known) return known;
      if (pending.size >= MAX_WAITING) return Promise.resolve(undefined);
      const asked = withinTime(
        new Promise<Revalidated>((resolve) => {
          queue.push({ jti, token, deadline: clock.monotonic() + WAIT_MS, answer: resolve });
          if (!running) setImmediate(() => void (running || run()));
        }),
      ).finally(() => pending.delete(jti));
      pending.set(jti, asked);
      return asked;
    },
  };
}

function waitBriefly(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, RETRY_MS);
  });
}

async function withinTime(promise: Promise<Revalidated>): Promise<Revalidated> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), WAIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
