/** What the log says of a configuration that takes effect. */
import { describe, expect, it } from 'vitest';
import { toActivation } from '../../src/authority/activation.ts';
import { application, grant, policyOf, resource, zone } from './zone.ts';

const before = zone({ applications: [application()], resources: [resource()], grants: [grant()] });

describe('an activation', () => {
  it('names every object that came, went or changed', () => {
    const after = zone({
      applications: [application({ subjectAudiences: [] }), application({ id: 'shop.till', name: 'till', uid: 't' })],
      resources: [],
      grants: [grant({ name: 'other' })],
    });
    expect(toActivation(before, after, undefined, [])).toMatchObject({
      digest: after.digest,
      previousDigest: before.digest,
      objects: [
        { kind: 'Application', name: 'shop/cart', change: 'changed' },
        { kind: 'Application', name: 'shop/till', change: 'added' },
        { kind: 'Resource', name: 'shop/payments', change: 'removed' },
        { kind: 'Grant', name: 'shop/g', change: 'removed' },
        { kind: 'Grant', name: 'shop/other', change: 'added' },
      ],
    });
  });

  it('names the policy set of before where it is another one', () => {
    const after = zone({ policy: policyOf({ name: 'p', rego: 'package caracal.policy.p\n' }) });
    const { policy, previousPolicy } = toActivation(before, after, undefined, []);
    expect([policy?.digest, previousPolicy?.digest]).toEqual([after.policy?.digest, before.policy?.digest]);
    expect(toActivation(after, after, undefined, [])).not.toHaveProperty('previousPolicy');
  });

  it('lists a hundred objects and counts the others', () => {
    const grants = Array.from({ length: 250 }, (_, index) => grant({ name: `g${index}` }));
    const { objects, more } = toActivation(zone({ grants: [] }), zone({ grants }), undefined, []);
    expect([objects.length, more]).toEqual([100, 150]);
  });

  it('of a first configuration lists none: everything is new', () => {
    expect(toActivation(undefined, before, undefined, []).objects).toEqual([]);
  });
});
