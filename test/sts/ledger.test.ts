/** The order of changes that watches are served from: over what time does, and over a state that was loaded anew. */
import { describe, expect, it } from 'vitest';
import type { DelegationEdge } from '../../src/authority/agents/model.ts';
import { createRuntimeIndex } from '../../src/authority/runtimeIndex.ts';
import type { RuntimeEntry, RuntimeObject } from '../../src/authority/runtime.ts';
import type { Challenge } from '../../src/authority/stepUp/challenge.ts';
import type { RuntimeEvent } from '../../src/runtimeapi/ports.ts';
import type { ServedZone, ZoneEvent } from '../../src/sts/configuration.ts';
import { createLedger } from '../../src/sts/operate/ledger.ts';
import { zone as snapshot } from '../authority/zone.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

const edge = (id: string, status: DelegationEdge['status'] = 'active'): DelegationEdge => ({
  kind: 'delegationEdge',
  ...{ id, status, scopes: ['read'], resources: [], hopsLeft: 0, path: [id] },
  issuer: { id: 'shop.cart', uid: 'uid-cart' },
  receiver: { id: 'shop.till', uid: 'uid-till' },
  ...{ sourceSessionID: 'a', targetSessionID: 'b', createdAt: START, expiresAt: START / 1000 + 600 },
});

const challenge = (id: string): Challenge => ({
  kind: 'challenge',
  ...{ id, binding: '00', state: 'pending', sid: 's', rootSid: 's', chain: [], scopes: ['write'] },
  application: { id: 'shop.cart', uid: 'uid-cart' },
  subject: { type: 'application', issuer: '', sub: 'shop.cart' },
  ...{ resource: 'resource://a', requirements: [], tier: 'money', approver: 'operator' },
  ...{ createdAt: START, expiresAt: START / 1000 + 60 },
});

function open(objects: readonly RuntimeObject[] = []) {
  const runtime = createRuntimeIndex(objects.length, objects);
  const parts = snapshot();
  const served: ServedZone = { snapshot: parts, configured: parts, epoch: 1, runtime };
  const zones = new Map<string, ServedZone>();
  let onZone: (event: ZoneEvent) => void = () => undefined;
  let onEntry: (zoneUID: string, entry: RuntimeEntry) => void = () => undefined;
  let onReload: (zoneUID: string) => void = () => undefined;
  let now = START;
  const ledger = createLedger({
    configuration: { zones: () => zones, onZone: (listener) => void (onZone = listener) },
    runtimes: {
      onEntry: (listener) => ((onEntry = listener), () => undefined),
      onReload: (listener) => ((onReload = listener), () => undefined),
    },
    clock: { now: () => now, monotonic: () => now },
  });
  const events: RuntimeEvent[] = [];
  ledger.onEvent((event) => events.push(event));
  return {
    ledger,
    told: () => events.splice(0).map(({ type, object }) => `${type} ${object.metadata.name} ${object.status.state}`),
    advance: (seconds: number) => void (now += seconds * 1000),
    serve(): void {
      zones.set(parts.id, served);
      onZone({ zoneUID: parts.uid, before: undefined, after: served, change: undefined });
    },
    drop(): void {
      zones.delete(parts.id);
      onZone({ zoneUID: parts.uid, before: served, after: undefined, change: undefined });
    },
    write(...puts: readonly RuntimeObject[]): void {
      const entry = { sequence: runtime.sequence() + 1, puts };
      runtime.apply(entry);
      onEntry(parts.uid, entry);
    },
    reload(...all: readonly RuntimeObject[]): void {
      runtime.reset(runtime.sequence() + 10, all);
      onReload(parts.uid);
    },
  };
}

describe('the ledger', () => {
  it('tells what a zone has when it comes, and that all is gone when it goes', () => {
    const world = open([edge('e1'), edge('e2', 'revoked')]);
    world.serve();
    expect(world.told()).toEqual(['ADDED e1 active']);
    world.drop();
    expect(world.told()).toEqual(['DELETED e1 active']);
    expect(world.ledger.list('delegationedges', undefined).objects).toEqual([]);
  });

  it('after a state that was loaded anew, tells what came, what changed and what is gone, and nothing twice', () => {
    const world = open([edge('kept'), edge('ended'), edge('forgotten')]);
    world.serve();
    const { version } = world.ledger.list('delegationedges', undefined);
    world.told();
    world.reload(edge('kept'), edge('ended', 'revoked'), edge('new'));
    expect(world.told()).toEqual(['DELETED forgotten active', 'DELETED ended revoked', 'ADDED new active']);
    expect(world.ledger.since(version)!.map(({ object }) => object.metadata.name)).toEqual([
      'forgotten',
      'ended',
      'new',
    ]);
  });

  it('shows a challenge for a day after it ended by time, and then no more', () => {
    const world = open();
    world.serve();
    world.write(challenge('c1'));
    expect(world.told()).toEqual(['ADDED c1 pending']);
    world.advance(60);
    expect(world.ledger.get('stepupchallenges', 'shop', 'c1')?.status.state).toBe('expired');
    expect(world.told()).toEqual(['MODIFIED c1 expired']);
    world.advance(24 * 3600);
    expect(world.ledger.list('stepupchallenges', undefined).objects).toEqual([]);
    expect(world.told()).toEqual(['DELETED c1 expired']);
  });

  it('knows no version of before it began, and none that it has not come to', () => {
    const world = open([edge('e1')]);
    world.serve();
    const { version } = world.ledger.list('delegationedges', 'shop');
    expect(world.ledger.since(version)).toEqual([]);
    expect(world.ledger.since(version + 1)).toBeUndefined();
    expect(world.ledger.since(START)).toBeUndefined();
  });
});
