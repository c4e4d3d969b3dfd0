/** Statuses: what conditions.md says of Ready, Stalled, Reconciling, Programmed and Enforced, and their times. */
import { describe, expect, it } from 'vitest';
import type { BaseStatus, Condition } from '../../src/api/meta.ts';
import { shownFreeze, toStatus, type Observation } from '../../src/compiler/status.ts';
import type { Verdict, VerdictCondition, VerdictKind } from '../../src/compiler/verdict.ts';
import { NOW, at, compileAt, grant, shop, zone } from './world.ts';

const CURRENT: Observation = { replicas: 'current' };
const ok = (type: string, reason = type): VerdictCondition => ({ type, status: 'True', reason, message: 'm' });
const no = (type: string, reason: string): VerdictCondition => ({ type, status: 'False', reason, message: 'm' });
const ZONE = [ok('Accepted'), ok('KeysReady'), ok('PolicyActive')];

function verdict(kind: VerdictKind, conditions: readonly VerdictCondition[] = [ok('Accepted')]): Verdict {
  return { kind, namespace: 'shop', name: 'x', uid: 'u', generation: 7, resourceVersion: '9', conditions, fields: {} };
}

function statusOf(of: Verdict, observation = CURRENT, previous?: BaseStatus, now = NOW) {
  return toStatus(of, previous, observation, now) as BaseStatus & Record<string, unknown>;
}

/** `Type=Status, Reason` of every condition. */
function summary(status: BaseStatus): Record<string, string> {
  return Object.fromEntries(status.conditions!.map(({ type, status: value, reason }) => [type, `${value} ${reason}`]));
}

describe('conditions', () => {
  it('of a Grant in force: Ready, Accepted, Programmed and nothing else', () => {
    expect(summary(statusOf(verdict('Grant')))).toEqual({
      Ready: 'True Ready',
      Accepted: 'True Accepted',
      Programmed: 'True Programmed',
    });
  });

  it('of a Policy and a PolicySet have no Programmed', () => {
    for (const kind of ['Policy', 'PolicySet'] as const) {
      expect(summary(statusOf(verdict(kind)))).toEqual({ Ready: 'True Ready', Accepted: 'True Accepted' });
    }
  });

  it('of a PolicySetRevision are only Active: neither Ready nor kstatus', () => {
    expect(summary(statusOf(verdict('PolicySetRevision', [no('Active', 'Inactive')])))).toEqual({
      Active: 'False Inactive',
    });
  });

  it('of a Resource carry Enforced and the gateways', () => {
    const status = statusOf(verdict('Resource'), { replicas: 'current', gateways: { connected: 12, current: 12 } });
    expect(summary(status)['Enforced']).toBe('True Enforced');
    expect(status['gateways']).toEqual({ connected: 12, current: 12, summary: '12/12' });
    expect(statusOf(verdict('Application'))).not.toHaveProperty('gateways');
  });

  const enforced: Readonly<Record<string, { observation: Observation; expected: string }>> = {
    'NoGateways with none': { observation: CURRENT, expected: 'True NoGateways' },
    'Pending while one is behind': {
      observation: { replicas: 'current', gateways: { connected: 2, current: 1 } },
      expected: 'False Pending',
    },
    'NotProgrammed while a replica is behind': {
      observation: { replicas: 'behind', gateways: { connected: 2, current: 2 } },
      expected: 'False NotProgrammed',
    },
    'NotProgrammed without replicas': { observation: { replicas: 'none' }, expected: 'False NotProgrammed' },
  };
  it.each(Object.entries(enforced))('Enforced is %s, and does not enter Ready', (_name, { observation, expected }) => {
    const status = summary(statusOf(verdict('Zone', ZONE), observation));
    expect(status['Enforced']).toBe(expected);
    if (observation.replicas === 'current') expect(status['Ready']).toBe('True Ready');
  });

  it('Programmed is NotAccepted, Pending, NoReplica or Programmed', () => {
    expect(summary(statusOf(verdict('Grant', [no('Accepted', 'Expired')])))['Programmed']).toBe('False NotAccepted');
    expect(summary(statusOf(verdict('Grant'), { replicas: 'behind' }))['Programmed']).toBe('False Pending');
    expect(summary(statusOf(verdict('Grant'), { replicas: 'none' }))['Programmed']).toBe('Unknown NoReplica');
    expect(summary(statusOf(verdict('Grant')))['Programmed']).toBe('True Programmed');
  });
});

describe('Ready', () => {
  it('copies the first False reason', () => {
    const conditions = [ok('Accepted'), no('KeysReady', 'KeysPending'), no('PolicyActive', 'NoPolicySet')];
    const status = statusOf(verdict('Zone', conditions), { replicas: 'behind' });
    expect(summary(status)).toMatchObject({ Ready: 'False KeysPending', Reconciling: 'True KeysPending' });
  });

  it('prefers what is False to what is Unknown', () => {
    const conditions = [ok('Accepted'), ok('KeysReady'), no('PolicyActive', 'NoPolicySet')];
    expect(summary(statusOf(verdict('Zone', conditions), { replicas: 'none' }))['Ready']).toBe('False NoPolicySet');
  });

  it('is Unknown and Reconciling without a replica', () => {
    expect(summary(statusOf(verdict('Grant'), { replicas: 'none' }))).toEqual({
      Ready: 'Unknown NoReplica',
      Accepted: 'True Accepted',
      Programmed: 'Unknown NoReplica',
      Reconciling: 'True NoReplica',
    });
  });

  it('is False and Reconciling while a replica is behind', () => {
    expect(summary(statusOf(verdict('Grant'), { replicas: 'behind' }))).toMatchObject({
      Ready: 'False Pending',
      Reconciling: 'True Pending',
    });
  });

  it('stays True with reason Frozen where the Zone is frozen', () => {
    const status = summary(statusOf(verdict('Zone', [...ZONE, ok('Frozen')])));
    expect(status).toMatchObject({ Ready: 'True Frozen', Frozen: 'True Frozen' });
    expect(status).not.toHaveProperty('Reconciling');
  });

  it('says which freezes hold, by the spec and by command, and neither hides the other', () => {
    const spec: VerdictCondition = { type: 'Frozen', status: 'True', reason: 'Frozen', message: 'in Git' };
    const messageOf = (conditions: readonly VerdictCondition[], freeze?: string) => {
      const status = statusOf(verdict('Zone', conditions), { ...CURRENT, ...(freeze !== undefined && { freeze }) });
      expect(summary(status)['Ready']).toBe('True Frozen');
      return status.conditions!.find(({ type }) => type === 'Frozen')!.message;
    };
    expect(messageOf([...ZONE, spec])).toBe('in Git');
    expect(messageOf(ZONE, 'incident; 42')).toBe('incident; 42 (by command)');
    expect(messageOf([...ZONE, spec], 'incident; 42')).toBe('in Git (spec.freeze); incident; 42 (by command)');
  });

  it('keeps a freeze by command that it showed, to be shown while nobody can be asked', () => {
    const spec: VerdictCondition = { type: 'Frozen', status: 'True', reason: 'Frozen', message: 'in Git' };
    for (const conditions of [ZONE, [...ZONE, spec]]) {
      const of = verdict('Zone', conditions);
      expect(shownFreeze(of, statusOf(of, { ...CURRENT, freeze: 'a; b' }))).toBe('a; b');
      expect(shownFreeze(of, statusOf(of))).toBeUndefined();
    }
  });

  it('is True with LastGoodRevision', () => {
    const conditions = [ok('Accepted'), ok('KeysReady'), ok('PolicyActive', 'LastGoodRevision')];
    expect(summary(statusOf(verdict('Zone', conditions)))['Ready']).toBe('True Ready');
  });
});

describe('kstatus', () => {
  const stalled: readonly (readonly [VerdictKind, string])[] = [
    ['Zone', 'ReservedName'],
    ['Application', 'Conflicted'],
    ['Application', 'KeysInvalid'],
    ['Application', 'Expired'],
    ['Resource', 'IdentifierNotPermitted'],
    ['Resource', 'Conflicted'],
    ['Resource', 'ScopeNotDeclared'],
    ['Resource', 'OperationsAmbiguous'],
    ['Grant', 'ZoneMismatch'],
    ['Grant', 'ScopeNotDeclared'],
    ['Grant', 'IssuerNotTrusted'],
    ['Grant', 'Expired'],
    ['Policy', 'CompileFailed'],
    ['Policy', 'PackageInvalid'],
    ['Policy', 'TestsFailed'],
    ['Policy', 'TooLarge'],
    ['PolicySet', 'PackageConflict'],
    ['PolicySet', 'CompileFailed'],
    ['PolicySet', 'TooLarge'],
  ];
  const waiting = ['ReferenceNotPermitted', 'ReferenceNotFound', 'ReferenceNotAccepted', 'NotYetValid'];

  it.each(stalled)('a %s that is %s is Stalled: only an edit helps', (kind, reason) => {
    const status = summary(statusOf(verdict(kind, [no('Accepted', reason)])));
    expect(status['Stalled']).toBe(`True ${reason}`);
    expect(status).not.toHaveProperty('Reconciling');
  });

  it.each(waiting)('a Grant that is %s is Reconciling', (reason) => {
    const status = summary(statusOf(verdict('Grant', [no('Accepted', reason)])));
    expect(status['Reconciling']).toBe(`True ${reason}`);
    expect(status).not.toHaveProperty('Stalled');
  });

  const zoneReasons: readonly (readonly [string, string, string])[] = [
    ['KeysReady', 'KeysPending', 'Reconciling'],
    ['KeysReady', 'KeysInvalid', 'Stalled'],
    ['PolicyActive', 'NoPolicySet', 'Reconciling'],
    ['PolicyActive', 'ReferenceNotFound', 'Reconciling'],
    ['PolicyActive', 'RevisionNotFound', 'Stalled'],
    ['PolicyActive', 'NoGoodRevision', 'Reconciling'],
  ];
  it.each(zoneReasons)('%s=False, %s of a Zone is %s', (type, reason, progress) => {
    const conditions = ZONE.map((condition) => (condition.type === type ? no(type, reason) : condition));
    expect(summary(statusOf(verdict('Zone', conditions)))[progress]).toBe(`True ${reason}`);
  });
});

describe('times and generations', () => {
  const before = statusOf(verdict('Grant'), CURRENT, undefined, NOW);

  it('every condition and the status carry the generation of the verdict', () => {
    expect(before.observedGeneration).toBe(7);
    expect(before.conditions!.map(({ observedGeneration }) => observedGeneration)).toEqual([7, 7, 7]);
    expect(before.conditions!.every(({ lastTransitionTime }) => lastTransitionTime === at(0))).toBe(true);
  });

  it('lastTransitionTime moves only with a condition’s status', () => {
    const expired = verdict('Grant', [no('Accepted', 'Expired')]);
    const after = statusOf(expired, CURRENT, before, NOW + 5000);
    const again = statusOf(verdict('Grant', [no('Accepted', 'ScopeNotDeclared')]), CURRENT, after, NOW + 9000);
    const times = (status: BaseStatus) =>
      Object.fromEntries(status.conditions!.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]));
    expect(times(after)).toEqual({ Ready: at(5), Accepted: at(5), Programmed: at(5), Stalled: at(5) });
    expect(times(again)).toEqual(times(after));
  });

  it('nothing changes where nothing changed, whatever the time', () => {
    expect(statusOf(verdict('Grant'), CURRENT, before, NOW + 60_000)).toEqual(before);
  });

  it('K-21 conditions of others in the old status are not taken over', () => {
    const forged: Condition = { ...before.conditions![0]!, type: 'Bogus' };
    expect(statusOf(verdict('Grant'), CURRENT, { conditions: [forged] })).toEqual(before);
  });

  it('K-34 cuts a message to what the API accepts', () => {
    const long = { ...no('Accepted', 'CompileFailed'), message: '😀'.repeat(40_000) };
    for (const { message } of statusOf(verdict('Policy', [long])).conditions!) {
      expect(message.length).toBeLessThanOrEqual(32_768);
      expect(message.isWellFormed()).toBe(true);
    }
  });
});

describe('fields', () => {
  it('a Zone shows its id, issuer, JWKS, policy, key and gateways', () => {
    const result = compileAt(shop());
    const observation: Observation = {
      replicas: 'current',
      issuer: 'https://sts',
      gateways: { connected: 3, current: 3 },
    };
    const status = statusOf(result.verdicts.get('Zone/shop/main')!, observation);
    expect(status).toMatchObject({
      zoneID: 'shop.main',
      issuer: 'https://sts',
      jwksURI: 'https://sts/.well-known/jwks.json?zone_id=shop.main',
      policy: { set: 'base', revision: 1 },
      signingKey: { kid: 'k1' },
      gateways: { connected: 3, current: 3, summary: '3/3' },
    });
  });

  it('K-33 no status holds more than names, numbers and digests of the world', () => {
    const result = compileAt(
      shop({ zones: [zone({ freeze: { reason: 'stop' } })], grants: [grant({ scopes: ['nope'] })] }),
    );
    for (const [key, of] of result.verdicts) {
      const text = JSON.stringify(statusOf(of));
      expect(text, key).not.toContain('k1-x');
      expect(text, key).not.toContain('package caracal');
    }
  });
});
