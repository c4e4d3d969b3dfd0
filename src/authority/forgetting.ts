/** When a runtime object may be forgotten: some time after it is over, so that whoever asks is told how it ended. */
import type { AgentSession, DelegationEdge } from './agents/model.ts';
import type { RuntimeObject } from './runtime.ts';

/** Seconds that what is over is kept. */
const KEPT_S = 24 * 3600;

/** Unix seconds; null: not while it is like this. An answer is only there for repetitions, and goes when it expires. */
export function toForgetAt(object: RuntimeObject): number | null {
  switch (object.kind) {
    case 'agentSession':
      return keptFrom(sessionEnd(object));
    case 'delegationEdge':
      return keptFrom(edgeEnd(object));
    case 'challenge':
      return keptFrom(object.expiresAt);
    case 'idempotentAnswer':
      return object.expiresAt;
    case 'zoneFreeze':
      return object.status === 'frozen' ? null : keptFrom(seconds(object.at));
  }
}

function keptFrom(end: number | undefined): number | null {
  return end === undefined ? null : end + KEPT_S;
}

/** What may be resumed has no end but its expiry; a service that nobody holds ended with its lease. */
function sessionEnd({ status, endedAt, expiresAt, lease, startedAt }: AgentSession): number | undefined {
  if (status === 'ended' || status === 'expired') return seconds(endedAt) ?? expiresAt ?? seconds(startedAt);
  return expiresAt ?? (status === 'active' ? lease?.until : undefined);
}

function edgeEnd({ status, endedAt, expiresAt }: DelegationEdge): number {
  return (status === 'active' ? undefined : seconds(endedAt)) ?? expiresAt;
}

function seconds(milliseconds: number): number;
function seconds(milliseconds: number | undefined): number | undefined;
function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.ceil(milliseconds / 1000);
}
