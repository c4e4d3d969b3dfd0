/** Refusals that are alike: the first of a minute has a record of its own, the others are counted in one. */
import type { GatewayRecord } from '../../authority/gatewayRecords.ts';

export interface Repetitions {
  /** True for the first of its kind while there is room for it: it is recorded as it is. */
  isFirst(record: GatewayRecord, hasRoom: boolean): boolean;
  /** What was counted, and a new minute begins. */
  take(): readonly GatewayRecord[];
}

/** Whoever floods can make no more records in a minute than these, and one for each code beyond. */
const MAX_KINDS = 128;

interface Counted {
  readonly first: GatewayRecord;
  count: number;
  at: number;
  until: number;
}

export function createRepetitions(): Repetitions {
  const kinds = new Map<string, Counted>();
  return {
    isFirst(record, hasRoom) {
      const key = toKey(record);
      const known = kinds.get(key);
      if (known) return count(known, record);
      if (kinds.size < MAX_KINDS) {
        const kind: Counted = { first: record, count: 0, at: record.at, until: record.at };
        kinds.set(key, kind);
        return hasRoom || count(kind, record);
      }
      // Beyond: by code alone, of which there are few.
      const rest = toRest(record);
      const others = kinds.get(toKey(rest)) ?? { first: rest, count: 0, at: record.at, until: record.at };
      kinds.set(toKey(rest), others);
      return count(others, record);
    },
    take() {
      const counted = [...kinds.values()].filter((kind) => kind.count > 0);
      kinds.clear();
      return counted.map(({ first, count: number, at, until }) => ({ ...first, at, until, count: number }));
    },
  };
}

function count(counted: Counted, { at }: GatewayRecord): false {
  if (counted.count === 0) counted.at = at;
  counted.count += 1;
  counted.until = at;
  return false;
}

function toKey({ error, resource, operation, method, source, jti }: GatewayRecord): string {
  return JSON.stringify([error, resource, operation, method, source, jti]);
}

function toRest({ at, request_id, decision, error, status }: GatewayRecord): GatewayRecord {
  return { at, request_id, decision, ...(error !== undefined && { error }), ...(status !== undefined && { status }) };
}
