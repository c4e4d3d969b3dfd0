/** Challenges of all zones as they are served: found by id, waited for, and decided in one write with the record of it. */
import { checkDecider, toDecidedBy, type Decider } from '../../authority/stepUp/approvers.ts';
import type { Challenge } from '../../authority/stepUp/challenge.ts';
import {
  decideChallenge,
  expireChallenge,
  keepRejected,
  type ChallengeDecision,
} from '../../authority/stepUp/challenges.ts';
import { StoreUnavailable } from '../../store/store.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import { OAuthError, toUnavailable } from '../errors.ts';
import { toActRecord, type ActPorts } from '../runtime/act.ts';
import type { Decision, Runtimes } from '../runtime/runtimes.ts';

export interface ChallengesPorts extends ActPorts {
  readonly configuration: Pick<Configuration, 'zones'>;
  readonly runtimes: Pick<Runtimes, 'write' | 'onEntry'>;
}

export interface FoundChallenge {
  readonly zone: ServedZone;
  /** As it is now. */
  readonly challenge: Challenge;
}

export interface Challenges {
  find(id: string): FoundChallenge | undefined;
  /** Resolves when it is decided, spent or over, or after `milliseconds`; undefined where there is none. */
  wait(id: string, milliseconds: number): Promise<FoundChallenge | undefined>;
  /** Throws OAuthError. */
  decide(found: FoundChallenge, decision: ChallengeDecision, decider: Decider, requestID: string): Promise<Challenge>;
}

export function createChallenges(ports: ChallengesPorts): Challenges {
  const find = (id: string): FoundChallenge | undefined => {
    for (const zone of ports.configuration.zones().values()) {
      const challenge = zone.runtime.challenge(id);
      if (challenge) return { zone, challenge: expireChallenge(challenge, ports.clock.now()) };
    }
    return undefined;
  };
  return {
    find,
    wait: (id, milliseconds) =>
      new Promise((resolve) => {
        const finish = () => {
          clearTimeout(timer);
          stop();
          resolve(find(id));
        };
        const stop = ports.runtimes.onEntry((_zoneUID, { puts }) => {
          if (puts.some((put) => put.kind === 'challenge' && put.id === id)) finish();
        });
        const found = find(id);
        const timer = setTimeout(
          finish,
          found ? patience(found.challenge, milliseconds, ports.clock.now()) : ARRIVAL_MS,
        );
      }),
    async decide(found, decision, decider, requestID) {
      const { value } = await ports.runtimes
        .write(found.zone.snapshot.uid, (view) => {
          const present = view.challenge(found.challenge.id) ?? found.challenge;
          return toDecision({ zone: found.zone, challenge: present }, decision, decider, requestID, ports);
        })
        .catch((error: unknown) => {
          throw error instanceof StoreUnavailable ? toUnavailable(`store: ${error.message}`) : error;
        });
      if (value instanceof OAuthError) throw value;
      return value;
    },
  };
}

/** How long one that another replica opened takes to get here: a little more than the follower's pace. */
const ARRIVAL_MS = 300;

function patience({ state, expiresAt }: Challenge, milliseconds: number, now: number): number {
  return state === 'pending' ? Math.max(0, Math.min(milliseconds, expiresAt * 1000 - now)) : 0;
}

function toDecision(
  { zone, challenge }: FoundChallenge,
  decision: ChallengeDecision,
  decider: Decider,
  requestID: string,
  ports: ChallengesPorts,
): Decision<Challenge | OAuthError> {
  const refusal = checkDecider(challenge, decider, zone.snapshot.stepUp);
  if (refusal) {
    const message = `who asked for it, or through what, may not decide this challenge (${refusal})`;
    return { type: 'answer', value: new OAuthError('access_denied', message) };
  }
  const by = toDecidedBy(decider);
  const decided = decideChallenge(challenge, decision, by, ports.clock.now());
  if (typeof decided === 'string') {
    const message = `the challenge cannot be decided: ${decided.replaceAll('_', ' ')}`;
    return { type: 'answer', value: new OAuthError('challenge_not_pending', message) };
  }
  const kept = keepRejected(decided, zone.snapshot.stepUp);
  const record = toActRecord(zone, { name: 'challenge.decided', by, puts: [kept], requestID }, ports);
  return { type: 'commit', commit: { decision: record, runtime: { puts: [kept] } }, value: kept };
}
