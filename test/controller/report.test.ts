/** Report: which statuses are written when, from verdicts and what the replicas say. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { BaseStatus } from '../../src/api/meta.ts';
import type { Verdict } from '../../src/compiler/verdict.ts';
import type { World } from '../../src/compiler/world.ts';
import { createOutbox, type Outbox } from '../../src/controller/outbox.ts';
import { NOT_OBSERVED, type Observed } from '../../src/controller/observed.ts';
import type { ReplicaReport } from '../../src/controller/ports.ts';
import { createReporter, type ReportInput, type Reporter } from '../../src/controller/report.ts';

const ACCEPTED = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' } as const;
const MISSING = { type: 'Accepted', status: 'False', reason: 'ReferenceNotFound', message: 'no zone' } as const;
const WRONG = { type: 'Accepted', status: 'False', reason: 'ScopeNotDeclared', message: 'no such scope' } as const;
const KEY = 'Resource/shop/orders';
const REQUIRED = { Resource: '7' };

let now: number;
let version: number;
let status: BaseStatus | undefined;
let generation: number;
let writes: { ready: string; gateways: unknown }[];
let events: string[];
let outbox: Outbox;
let reporter: Reporter;
/** Whether written statuses come back by the watch. */
let echoes: boolean;

beforeEach(() => {
  [now, version, generation, status] = [1_000, 7, 1, undefined];
  [writes, events, echoes] = [[], [], true];
  outbox = createOutbox({ monotonic: () => now, onFailure: () => undefined });
  reporter = createReporter({
    publisher: {
      async writeStatus(_, written) {
        const { conditions = [], gateways } = written as BaseStatus & { gateways?: { summary: string } };
        const ready = conditions.find(({ type }) => type === 'Ready')!;
        writes.push({ ready: `${ready.status} ${ready.reason}`, gateways: gateways?.summary });
        if (echoes) [status, version] = [written as BaseStatus, version + 1];
      },
      async emitEvent(_, type, reason) {
        events.push(`${type} ${reason}`);
      },
    },
    outbox,
    issuer: 'https://sts.test',
    monotonic: () => now,
    onWritten: () => undefined,
    onEventFailure: () => undefined,
    onProgrammed: () => undefined,
  });
});

const serving = (resource: string, gateways = { connected: 0, current: 0 }): Observed => {
  const zones = { 'shop.zone': { kids: [], gateways, resources: { 'resource://orders': gateways } } };
  const report: ReplicaReport = { replica: 'a', versions: { Resource: resource }, zones };
  return { reports: [report], askedAt: now };
};

async function report(
  observed: Observed,
  condition: Verdict['conditions'][number] = ACCEPTED,
  more: Partial<ReportInput> = {},
) {
  const metadata = { name: 'orders', namespace: 'shop', uid: 'u1', generation, resourceVersion: String(version) };
  const spec = { zoneRef: { name: 'zone' }, identifier: 'resource://orders' };
  const object = { kind: 'Resource', metadata, spec, status };
  const verdict: Verdict = { kind: 'Resource', ...metadata, conditions: [condition], fields: {} };
  const outcome = reporter.report({
    world: { resources: [object] } as unknown as World,
    verdicts: new Map([[KEY, verdict]]),
    observed,
    required: REQUIRED,
    everything: true,
    wall: now,
    now,
    isHeld: () => false,
    ...more,
  });
  await outbox.idle();
  return outcome;
}

describe('the first write', () => {
  it('waits up to 250 ms for the replicas and then says Programmed at once', async () => {
    await expect(report(serving('6'))).resolves.toEqual({ nextWrite: 1_250, waitingSince: 1_000 });
    now = 1_100;
    await expect(report(serving('7'))).resolves.toEqual({ nextWrite: undefined, waitingSince: undefined });
    expect(writes).toEqual([{ ready: 'True Ready', gateways: '0/0' }]);
    expect(events).toEqual(['Normal Ready']);
  });

  it('says Pending after 250 ms, without an Event, and again when it is served', async () => {
    await report(serving('6'));
    now = 1_250;
    await report(serving('6'));
    now = 1_600;
    await expect(report(serving('6'))).resolves.toEqual({ nextWrite: undefined, waitingSince: 1_000 });
    await report(serving('7'));
    expect(writes.map(({ ready }) => ready)).toEqual(['False Pending', 'True Ready']);
    expect(events).toEqual(['Normal Ready']);
  });

  it('waits while what is missing may be on its way, and does not where only an edit helps', async () => {
    await expect(report(NOT_OBSERVED, MISSING)).resolves.toMatchObject({ nextWrite: 1_250 });
    expect(writes).toEqual([]);
    await report(NOT_OBSERVED, WRONG);
    expect(writes.map(({ ready }) => ready)).toEqual(['False ScopeNotDeclared']);
    expect(events).toEqual(['Warning ScopeNotDeclared']);
  });

  it('is not made while its cause is being written', async () => {
    await expect(report(serving('7'), ACCEPTED, { isHeld: () => true })).resolves.toEqual({
      nextWrite: undefined,
      waitingSince: undefined,
    });
    expect(writes).toEqual([]);
  });
});

describe('at rest', () => {
  it('nothing is written, however often it is looked at', async () => {
    await report(serving('7'));
    for (const later of [2_000, 12_000, 22_000]) {
      now = later;
      await report(serving('9'));
    }
    expect(writes).toHaveLength(1);
  });

  it('a write that the watch does not show yet is not repeated', async () => {
    echoes = false;
    await report(serving('7'));
    now = 60_000;
    await report(serving('7'));
    expect(writes).toHaveLength(1);
  });

  it('what was served stays Programmed while a replica cannot be asked for a moment, but not for long', async () => {
    await report(serving('7'));
    now = 10_000;
    await report({ reports: undefined, askedAt: now });
    expect(writes).toHaveLength(1);
    now = 20_000;
    await report({ reports: [], askedAt: now });
    now = 20_250;
    await report({ reports: [], askedAt: now });
    expect(writes.map(({ ready }) => ready)).toEqual(['True Ready', 'Unknown NoReplica']);
  });

  it('another leader trusts what the status says of the same verdict until it could ask itself', async () => {
    await report(serving('7'));
    reporter.clear();
    await report(NOT_OBSERVED);
    expect(writes).toHaveLength(1);
  });
});

describe('gateway counts', () => {
  it('are written at most every 10 s', async () => {
    await report(serving('7', { connected: 1, current: 1 }));
    for (const later of [2_000, 5_000, 9_000]) {
      now = later;
      await report(serving('7', { connected: later, current: later }));
    }
    expect(writes.map(({ gateways }) => gateways)).toEqual(['1/1']);
    now = 11_000;
    await report(serving('7', { connected: 2, current: 2 }));
    expect(writes.map(({ gateways }) => gateways)).toEqual(['1/1', '2/2']);
  });

  it('wait 250 ms for acknowledgements before they say Pending', async () => {
    await report(serving('7', { connected: 2, current: 1 }));
    expect(writes).toEqual([]);
    now = 1_200;
    await report(serving('7', { connected: 2, current: 2 }));
    expect(writes).toEqual([{ ready: 'True Ready', gateways: '2/2' }]);
  });
});
