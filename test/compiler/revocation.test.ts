/** Revocations: what each may target from where, what it puts into the snapshot, and when it is Complete. */
import { describe, expect, it } from 'vitest';
import type { Revocation } from '../../src/api/revocation.ts';
import type { World } from '../../src/compiler/world.ts';
import { application, at, compileAt, NOW, reasonOf, resource, revocation, shop, zone } from './world.ts';

const SID = '0193a5f0-0000-8000-8000-000000000001';
const KEY = 'Revocation/shop/stop';

const reason = (object: Revocation, objects: Partial<World> = {}) => {
  const { namespace, name } = object.metadata;
  return reasonOf(compileAt(shop({ revocations: [object], ...objects })), `Revocation/${namespace}/${name}`);
};
const open = { zones: [zone({ allowedNamespaces: { from: 'All' } })] };
const inBank = (target: Revocation['spec']['target']) =>
  revocation(target, { zoneRef: { name: 'main', namespace: 'shop' } }, { namespace: 'bank' });
const TELLER = application({ zoneRef: { name: 'main', namespace: 'shop' } }, { name: 'teller', namespace: 'bank' });
const LEDGER = resource({ zoneRef: { name: 'main', namespace: 'shop' } }, { name: 'ledger', namespace: 'bank' });

describe('a Revocation in the namespace of its Zone', () => {
  it.each<[string, Revocation['spec']['target'], object]>([
    ['a session', { session: SID }, { type: 'session', sid: SID }],
    ['a root session', { rootSession: SID }, { type: 'rootSession', rootSid: SID }],
    ['an agent session', { agentSession: SID }, { type: 'agentSession', id: SID }],
    ['a delegation edge', { delegationEdge: SID }, { type: 'delegationEdge', id: SID }],
    ['a mandate', { mandate: SID }, { type: 'mandate', jti: SID }],
    ['an Application', { application: { name: 'cart' } }, { type: 'application', id: 'shop.cart' }],
    ['a Resource', { resource: { name: 'payments' } }, { type: 'resource', identifier: 'resource://payments.shop' }],
    ['everything', { everything: {} }, { type: 'everything' }],
  ])('targets %s', (_what, target, expected) => {
    const { snapshot } = compileAt(shop({ revocations: [revocation(target)] }));
    expect(snapshot.zones.get('shop.main')!.revocations).toEqual([
      {
        namespace: 'shop',
        name: 'stop',
        uid: 'uid-shop-stop',
        target: expected,
        issuedBefore: undefined,
        createdAt: NOW - 3_600_000,
      },
    ]);
  });

  it('targets Applications and Resources of other namespaces that joined the Zone', () => {
    const objects = { ...open, applications: [TELLER], resources: [LEDGER] };
    expect(reason(revocation({ application: { name: 'teller', namespace: 'bank' } }), objects)).toBe('Accepted');
    expect(reason(revocation({ resource: { name: 'ledger', namespace: 'bank' } }), objects)).toBe('Accepted');
    expect(reason(revocation({ application: { name: 'none', namespace: 'bank' } }), objects)).toBe(
      'ReferenceNotPermitted',
    );
  });

  it('that names what is not there says so, rather than seem to have worked', () => {
    expect(reason(revocation({ application: { name: 'crat' } }))).toBe('ReferenceNotFound');
    expect(reason(revocation({ resource: { name: 'none' } }))).toBe('ReferenceNotFound');
    expect(reason(revocation({ subject: { issuer: 'corp', sub: 'alice' } }))).toBe('ReferenceNotFound');
    const unplaced = { applications: [application({ zoneRef: { name: 'none' } })] };
    expect(reason(revocation({ application: { name: 'cart' } }), unplaced)).toBe('ReferenceNotAccepted');
    expect(reason(revocation({ everything: {} }, { zoneRef: { name: 'none' } }))).toBe('ReferenceNotFound');
  });
});

describe('a Revocation of another namespace', () => {
  const objects = { ...open, applications: [application(), TELLER], resources: [resource(), LEDGER] };

  it('targets Applications and Resources of its own', () => {
    expect(reason(inBank({ application: { name: 'teller' } }), objects)).toBe('Accepted');
    expect(reason(inBank({ resource: { name: 'ledger', namespace: 'bank' } }), objects)).toBe('Accepted');
  });

  it('targets nothing else, nor anything of a Zone that does not admit it', () => {
    const others: readonly Revocation['spec']['target'][] = [
      { everything: {} },
      { session: SID },
      { rootSession: SID },
      { agentSession: SID },
      { delegationEdge: SID },
      { mandate: SID },
      { subject: { issuer: 'corp', sub: 'alice' } },
      { application: { name: 'cart', namespace: 'shop' } },
      { resource: { name: 'payments', namespace: 'shop' } },
    ];
    for (const target of others) expect(reason(inBank(target), objects)).toBe('ReferenceNotPermitted');
    expect(reason(inBank({ application: { name: 'teller' } }))).toBe('ReferenceNotPermitted');
  });
});

describe('Complete', () => {
  const completeAfter = (spec: object, seconds: number) =>
    reasonOf(
      compileAt(shop({ revocations: [revocation({ everything: {} }, spec, { created: at(0) })] }), seconds),
      KEY,
      'Complete',
    );

  it('comes when the longest-lived of what was issued before has expired, and wakes whoever waits for it', () => {
    expect(completeAfter({}, 3604)).toBe('missing');
    expect(completeAfter({}, 3605)).toBe('Complete');
    expect(completeAfter({ issuedBefore: at(-7200) }, 0)).toBe('Complete');
    expect(completeAfter({ issuedBefore: at(600) }, 3605)).toBe('missing');
    const { nextChange } = compileAt(shop({ revocations: [revocation({ everything: {} }, {}, { created: at(0) })] }));
    expect(nextChange).toBe(NOW + 3_605_000);
  });

  it.each<[string, Revocation['spec']['target']]>([
    ['a session', { session: SID }],
    ['an agent session', { agentSession: SID }],
    ['a delegation edge', { delegationEdge: SID }],
  ])('counts from the creation for %s, which issuedBefore does not bound', (_what, target) => {
    const stop = revocation(target, { issuedBefore: at(-7200) }, { created: at(0) });
    expect(reasonOf(compileAt(shop({ revocations: [stop] }), 3604), KEY, 'Complete')).toBe('missing');
    expect(reasonOf(compileAt(shop({ revocations: [stop] }), 3605), KEY, 'Complete')).toBe('Complete');
  });
});

describe('the Target column', () => {
  it.each<[Revocation['spec']['target'], string]>([
    [{ agentSession: SID }, `agent session ${SID}`],
    [{ delegationEdge: SID }, `delegation edge ${SID}`],
    [{ mandate: SID }, `mandate ${SID}`],
    [{ application: { name: 'cart' } }, 'application shop/cart'],
  ])('of %j says %s', (target, text) => {
    const { verdicts } = compileAt(shop({ revocations: [revocation(target)] }));
    expect(verdicts.get(KEY)!.fields).toMatchObject({ target: text });
  });
});
