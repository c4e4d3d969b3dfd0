/** Which policy sets can be asked: each is prepared beside everything else, so that no change waits for a compiler. */
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { Log } from './ports.ts';

/** `late`: it failed, or takes longer than it is given; it is tried on. */
export type Readiness = 'ready' | 'pending' | 'late';

export interface PolicyReadiness {
  /** Answers within `patienceMs`, or sooner. */
  of(zone: ZoneSnapshot, patienceMs: number): Promise<Readiness>;
}

export interface PolicyReadinessPorts {
  readonly policies: Pick<PolicyEngine, 'prepare'>;
  readonly log: Log;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Called when a set that was waited for is decided. */
  onDecided(): void;
}

/** A policy that takes longer to compile than this is served unprepared, which denies. */
export const PREPARE_MS = 3000;

interface Attempt {
  readonly digest: string;
  readonly startedAt: number;
  ended: Promise<void>;
  result: Extract<Readiness, 'ready' | 'late'> | undefined;
  wasAwaited: boolean;
}

export function createPolicyReadiness(ports: PolicyReadinessPorts): PolicyReadiness {
  /** By zone UID. */
  const attempts = new Map<string, Attempt>();
  const start = ({ uid, id }: ZoneSnapshot, policy: NonNullable<ZoneSnapshot['policy']>): Attempt => {
    const decide = async (): Promise<void> => {
      const prepared = await ports.policies.prepare(uid, policy.digest, policy.modules);
      attempt.result = prepared.ok ? 'ready' : 'late';
      if (!prepared.ok) complain(id, prepared.message);
      if (attempt.wasAwaited) ports.onDecided();
    };
    const begun = { digest: policy.digest, startedAt: ports.now(), result: undefined, wasAwaited: false };
    const attempt: Attempt = { ...begun, ended: Promise.resolve() };
    attempts.set(uid, attempt);
    attempt.ended = decide();
    return attempt;
  };
  const complain = (zone: string, error: string): void =>
    ports.log.error({ zone, error }, 'the policy set is not ready; exchanges are denied until it is');

  return {
    async of(zone, patienceMs) {
      const { policy, uid, id } = zone;
      if (!policy) return 'ready';
      const known = attempts.get(uid);
      const isKnown = known?.digest === policy.digest && known.result !== 'late';
      const attempt = isKnown ? known : start(zone, policy);
      await within(attempt.ended, patienceMs);
      if (attempt.result) return attempt.result;
      attempt.wasAwaited = true;
      if (ports.now() - attempt.startedAt < PREPARE_MS) return 'pending';
      complain(id, 'it takes long to compile');
      return 'late';
    },
  };
}

async function within(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
