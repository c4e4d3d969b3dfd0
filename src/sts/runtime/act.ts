/** The record of an act on runtime state: what was done, by whom, and to which objects. */
import { uuidv7, type Clock, type RandomBytes } from '../../authority/clock.ts';
import type { DecisionRecord, RuntimeAct } from '../../authority/decision.ts';
import type { RuntimeObject } from '../../authority/runtime.ts';
import type { ServedZone } from '../configuration.ts';

export interface ActPorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

export interface Act {
  readonly name: RuntimeAct['name'];
  /** An application id, `operator:<user>`, or `time`. */
  readonly by: string;
  readonly puts: readonly RuntimeObject[];
  readonly requestID: string;
}

export function toActRecord(
  { snapshot, epoch }: ServedZone,
  { name, by, puts, requestID }: Act,
  { clock, randomBytes }: ActPorts,
): DecisionRecord {
  const now = clock.now();
  return {
    id: uuidv7(now, randomBytes),
    zoneUID: snapshot.uid,
    zoneID: snapshot.id,
    at: now,
    requestID,
    kind: 'act',
    outcome: 'done',
    epoch,
    act: { name, by, objects: puts.flatMap(toActedOn) },
  };
}

/** What an agent says of itself (labels, metadata) stays out of the log. */
function toActedOn(object: RuntimeObject): RuntimeAct['objects'] {
  switch (object.kind) {
    case 'agentSession': {
      const { kind, id, status, application, parentID, edgeID } = object;
      const hangsOn = { ...(parentID !== undefined && { parentID }), ...(edgeID !== undefined && { edgeID }) };
      return [{ kind, id, status, application: application.id, ...hangsOn }];
    }
    case 'delegationEdge': {
      const { kind, id, status, issuer, receiver, scopes, resources, path, expiresAt } = object;
      const { sourceSessionID, targetSessionID } = object;
      const ends = { issuer: issuer.id, sourceSessionID, receiver: receiver.id, targetSessionID };
      return [{ kind, id, status, ...ends, scopes, resources, path, expiresAt }];
    }
    case 'challenge': {
      const { kind, id, state, binding, application, decision } = object;
      return [{ kind, id, status: state, binding, application: application.id, ...(decision && { decision }) }];
    }
    case 'idempotentAnswer':
      return [];
    case 'zoneFreeze': {
      const { kind, id, status, reason } = object;
      return [{ kind, id, status, reason }];
    }
  }
}
