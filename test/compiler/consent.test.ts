/** A Zone's consent: which namespaces may join it, and that the others learn nothing. */
import { describe, expect, it } from 'vitest';
import type { Zone } from '../../src/api/zone.ts';
import { application, compileAt, conditionOf, namespace, shop, zone } from './world.ts';

type Allowed = Zone['spec']['allowedNamespaces'];
type Expression = NonNullable<NonNullable<Allowed['selector']>['matchExpressions']>[number];

const BANK = 'Application/bank/cart';
const joining = application({ zoneRef: { name: 'main', namespace: 'shop' } }, { namespace: 'bank' });

function compiled(allowedNamespaces: Allowed, labels: Readonly<Record<string, string>> = {}) {
  const zones = [zone({ allowedNamespaces })];
  return conditionOf(
    compileAt(shop({ zones, applications: [joining], namespaces: [namespace('bank', labels)] })),
    BANK,
  );
}

const expression = (operator: Expression['operator'], ...values: string[]): Allowed => ({
  from: 'Selector',
  selector: { matchExpressions: [{ key: 'team', operator, ...(values.length > 0 && { values }) }] },
});
const labelled = (team: string): Allowed => ({ from: 'Selector', selector: { matchLabels: { team } } });

describe('allowedNamespaces', () => {
  const cases: readonly (readonly [string, Allowed, Readonly<Record<string, string>>, boolean])[] = [
    ['Same refuses', { from: 'Same' }, {}, false],
    ['All admits', { from: 'All' }, {}, true],
    ['matchLabels admits what carries the label', labelled('pay'), { team: 'pay' }, true],
    ['matchLabels refuses another value', labelled('pay'), { team: 'Pay' }, false],
    ['matchLabels refuses where the label is missing', labelled('pay'), {}, false],
    ['In admits a listed value', expression('In', 'a', 'b'), { team: 'b' }, true],
    ['In refuses another value', expression('In', 'a', 'b'), { team: 'c' }, false],
    ['In refuses where the label is missing', expression('In', 'a'), {}, false],
    ['In without values refuses', expression('In'), { team: 'a' }, false],
    ['NotIn admits another value', expression('NotIn', 'a'), { team: 'b' }, true],
    ['NotIn admits where the label is missing, as Kubernetes does', expression('NotIn', 'a'), {}, true],
    ['NotIn refuses a listed value', expression('NotIn', 'a'), { team: 'a' }, false],
    ['NotIn without values refuses', expression('NotIn'), { team: 'b' }, false],
    ['Exists admits any value', expression('Exists'), { team: '' }, true],
    ['Exists refuses where the label is missing', expression('Exists'), {}, false],
    ['DoesNotExist admits where the label is missing', expression('DoesNotExist'), {}, true],
    ['DoesNotExist refuses any value', expression('DoesNotExist'), { team: 'a' }, false],
    ['an empty selector refuses', { from: 'Selector', selector: {} }, { team: 'a' }, false],
    ['a missing selector refuses', { from: 'Selector' }, { team: 'a' }, false],
    [
      'every requirement must hold',
      {
        from: 'Selector',
        selector: { matchLabels: { team: 'a' }, matchExpressions: [{ key: 'tier', operator: 'Exists' }] },
      },
      { team: 'a' },
      false,
    ],
    [
      'a label key that is a member of every object is no label',
      { from: 'Selector', selector: { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] } },
      {},
      false,
    ],
  ];

  it.each(cases)('%s', (_name, allowed, labels, admits) => {
    expect(compiled(allowed, labels).reason).toBe(admits ? 'Accepted' : 'ReferenceNotPermitted');
  });

  it('K-11 refuses a namespace that was never seen, whatever the selector', () => {
    const zones = [zone({ allowedNamespaces: expression('DoesNotExist') })];
    const result = compileAt(shop({ zones, applications: [joining], namespaces: [] }));
    expect(conditionOf(result, BANK).reason).toBe('ReferenceNotPermitted');
  });

  it('always includes the own namespace, by name or not', () => {
    const zones = [zone({ allowedNamespaces: labelled('nobody') })];
    for (const zoneRef of [{ name: 'main' }, { name: 'main', namespace: 'shop' }]) {
      const result = compileAt(shop({ zones, applications: [application({ zoneRef })], namespaces: [] }));
      expect(conditionOf(result, 'Application/shop/cart').reason).toBe('Accepted');
    }
  });

  it('K-14 a missing, a refusing, a refused and a leaving Zone look the same from another namespace', () => {
    const reserved = application({ zoneRef: { name: 'caracal-sys', namespace: 'shop' } }, { namespace: 'bank' });
    const verdict = (zones: readonly Zone[], object = joining) =>
      conditionOf(compileAt(shop({ zones, applications: [object] })), BANK);
    const missing = verdict([]);
    expect(missing).toMatchObject({ status: 'False', reason: 'ReferenceNotPermitted' });
    expect(verdict([zone()])).toEqual(missing);
    expect(verdict([zone({ allowedNamespaces: { from: 'All' } }, { deleted: true })])).toEqual(missing);
    const open = zone({ allowedNamespaces: { from: 'All' } }, { name: 'caracal-sys' });
    expect(verdict([open], reserved)).toEqual(verdict([], reserved));
  });
});
