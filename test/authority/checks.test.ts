/** The structural checks: every reason, their order, and what of a request reaches policy. */
import { describe, expect, it } from 'vitest';
import { CHECKS, checkExchange, explainChecks } from '../../src/authority/checks.ts';
import type { ExchangeRequest } from '../../src/authority/decision.ts';
import {
  ITSELF,
  NOW,
  PAYMENTS,
  SECONDS,
  application,
  grant,
  isChecked,
  login,
  request,
  resource,
  user,
  zone,
  type ZoneParts,
} from './zone.ts';

interface Case {
  readonly parts?: ZoneParts;
  readonly asked?: ExchangeRequest;
  readonly expected: string;
}

const forUsers = [grant({ subjects: [{ type: 'anyUser' }] })];

const cases: Readonly<Record<string, Case>> = {
  'is checked where nothing is wrong': { expected: 'checked' },
  'ZoneFrozen while the zone is frozen': { parts: { frozen: { reason: 'incident' } }, expected: 'ZoneFrozen' },
  'ZoneFrozen denies logins too': { parts: { frozen: { reason: 'incident' } }, asked: login(), expected: 'ZoneFrozen' },
  'NoActivePolicy without a policy': { parts: { policy: undefined }, expected: 'NoActivePolicy' },
  'NoActivePolicy denies logins too': { parts: { policy: undefined }, asked: login(), expected: 'NoActivePolicy' },
  'ApplicationUnknown where it is gone': { parts: { applications: [] }, expected: 'ApplicationUnknown' },
  'X-11 ApplicationUnknown where it was re-created under its name': {
    parts: { applications: [application({ uid: 'second' })] },
    expected: 'ApplicationUnknown',
  },
  'ApplicationExpired from the instant of expiresAt': {
    parts: { applications: [application({ expiresAt: SECONDS })] },
    expected: 'ApplicationExpired',
  },
  'SubjectNotPermitted where an application acts for another': {
    asked: request({ subject: { ...ITSELF, sub: 'shop.other' } }),
    expected: 'SubjectNotPermitted',
  },
  'X-23 SubjectNotPermitted for a user of an issuer the zone does not trust': {
    parts: { grants: forUsers },
    asked: request({ subject: user({ issuer: 'evil' }) }),
    expected: 'SubjectNotPermitted',
  },
  'X-23 SubjectNotPermitted for a login of such a user': {
    asked: login({ subject: user({ issuer: 'evil' }) }),
    expected: 'SubjectNotPermitted',
  },
  'SubjectNotPermitted for any user where the Application lists no audiences': {
    parts: { applications: [application({ subjectAudiences: [] })], grants: forUsers },
    asked: request({ subject: user() }),
    expected: 'SubjectNotPermitted',
  },
  'ResourceUnknown where it is gone': { parts: { resources: [] }, expected: 'ResourceUnknown' },
  'X-09 ResourceUnknown for an identifier in another spelling': {
    asked: request({ resource: `${PAYMENTS}/` }),
    expected: 'ResourceUnknown',
  },
  'ResourceUnknown where a resource mandate names none': {
    asked: request({ resource: undefined }),
    expected: 'ResourceUnknown',
  },
  'ScopeNotDeclared for an unknown scope': {
    asked: request({ scopes: ['read', 'admin'] }),
    expected: 'ScopeNotDeclared',
  },
  'X-07 ScopeNotDeclared for a scope in another case': {
    asked: request({ scopes: ['Read'] }),
    expected: 'ScopeNotDeclared',
  },
  'X-07 ScopeNotDeclared for a wildcard': { asked: request({ scopes: ['*'] }), expected: 'ScopeNotDeclared' },
  'ScopeNotDeclared for agent:lifecycle on a Resource': {
    asked: request({ scopes: ['agent:lifecycle'] }),
    expected: 'ScopeNotDeclared',
  },
  'ScopeNotGranted without any Grant': { parts: { grants: [] }, expected: 'ScopeNotGranted' },
  'X-08 ScopeNotGranted where one of two scopes is not granted': {
    asked: request({ scopes: ['read', 'write'] }),
    expected: 'ScopeNotGranted',
  },
  'ScopeNotGranted where no scope is asked for': { asked: request({ scopes: [] }), expected: 'ScopeNotGranted' },
  'ScopeNotGranted where the Grant has ended': {
    parts: { grants: [grant({ expiresAt: SECONDS })] },
    expected: 'ScopeNotGranted',
  },
  'ScopeNotGranted where the Grant is for users and the application acts for itself': {
    parts: { grants: forUsers },
    expected: 'ScopeNotGranted',
  },
  'ScopeNotGranted where the Grant is for the application and a user asks': {
    asked: request({ subject: user() }),
    expected: 'ScopeNotGranted',
  },
  'ScopeNotGranted where the Grant is another application’s': {
    parts: { grants: [grant({ applicationID: 'shop.other' })] },
    expected: 'ScopeNotGranted',
  },
  'is checked where two Grants cover the scopes together': {
    parts: { grants: [grant({ name: 'a' }), grant({ name: 'b', scopes: ['write'] })] },
    asked: request({ scopes: ['write', 'read'] }),
    expected: 'checked',
  },
  'is checked for a login without a Grant': { parts: { grants: [] }, asked: login(), expected: 'checked' },
  'is checked for a login with agent:lifecycle': { asked: login({ scopes: ['agent:lifecycle'] }), expected: 'checked' },
  'is checked for a login of a user': { asked: login({ subject: user() }), expected: 'checked' },
  'ScopeNotGranted for a login with any other scope': {
    asked: login({ scopes: ['agent:lifecycle', 'read'] }),
    expected: 'ScopeNotGranted',
  },
  'ScopeNotGranted for a login of a user with agent:lifecycle': {
    asked: login({ subject: user(), scopes: ['agent:lifecycle'] }),
    expected: 'ScopeNotGranted',
  },
  'LifetimeExhausted where what it rests on has ended': {
    asked: request({ notAfter: SECONDS }),
    expected: 'LifetimeExhausted',
  },
  'LifetimeExhausted where the lifetime is nothing': {
    asked: request({ ttlSeconds: 0 }),
    expected: 'LifetimeExhausted',
  },
  'LifetimeExhausted where the lifetime is no number': {
    asked: request({ ttlSeconds: Number.NaN }),
    expected: 'LifetimeExhausted',
  },
  'is checked where one second is left': { asked: request({ notAfter: SECONDS + 1 }), expected: 'checked' },
};

describe('checkExchange', () => {
  it.each(Object.entries(cases))('%s', (_name, { parts, asked = request(), expected }) => {
    const result = checkExchange(zone(parts), asked, NOW);
    expect(result.type === 'denial' ? result.reason : result.type).toBe(expected);
  });

  it('reports the first failing check, in the documented order', () => {
    const worst: ZoneParts = {
      frozen: { reason: 'x' },
      policy: undefined,
      applications: [],
      resources: [],
      grants: [],
    };
    const asked = request({ subject: user({ issuer: 'evil' }), notAfter: 0 });
    const repairs: readonly ZoneParts[] = [
      worst,
      { ...worst, frozen: undefined },
      { ...worst, frozen: undefined, policy: zone().policy },
      { resources: [], grants: [] },
    ];
    const reasons = repairs.map((parts) => checkExchange(zone(parts), asked, NOW));
    expect(reasons.map((result) => result.type === 'denial' && result.reason)).toEqual([
      'ZoneFrozen',
      'NoActivePolicy',
      'ApplicationUnknown',
      'SubjectNotPermitted',
    ]);
  });

  it('names the scope, the resource and the nearest Grant', () => {
    const parts = {
      grants: [
        grant({ name: 'a', scopes: ['write'], expiresAt: SECONDS - 1 }),
        grant({ name: 'b', expiresAt: SECONDS - 1 }),
      ],
    };
    expect(checkExchange(zone(parts), request(), NOW)).toEqual({
      type: 'denial',
      reason: 'ScopeNotGranted',
      message: `no Grant in force gives shop.cart for itself the scope read on ${PAYMENTS}`,
      scope: 'read',
      resource: PAYMENTS,
      nearestGrant: { grant: 'shop/b', missing: ['time: expiresAt has passed'] },
    });
  });

  it('hands on inputs, covering Grants, end and policy digest', () => {
    const grants = [
      grant({ name: 'b', scopes: ['write'] }),
      grant({ name: 'a' }),
      grant({ name: 'c', scopes: ['refund'] }),
    ];
    const snapshot = zone({ grants });
    const result = checkExchange(snapshot, request({ scopes: ['write', 'read'] }), NOW);
    expect(isChecked(result) && { ...result, inputs: result.inputs.map(({ scope }) => scope) }).toEqual({
      type: 'checked',
      request: request({ scopes: ['write', 'read'] }),
      inputs: ['write', 'read'],
      grants: ['shop/a', 'shop/b'],
      expiresAt: SECONDS + 300,
      policyDigest: snapshot.policy!.digest,
    });
  });
});

describe('the lifetime is the minimum', () => {
  const later = SECONDS + 100_000;
  const lives: Readonly<Record<string, { parts?: ZoneParts; asked?: ExchangeRequest; seconds: number }>> = {
    'of the zone': { seconds: 300 },
    'X-20 of the zone where the request asks for more': { asked: request({ ttlSeconds: 1e9 }), seconds: 300 },
    'of the request': { asked: request({ ttlSeconds: 60 }), seconds: 60 },
    'of the Resource': { parts: { resources: [resource({ mandateTTL: 30 })] }, seconds: 30 },
    'of the zone where the Resource allows more': {
      parts: { resources: [resource({ mandateTTL: 900 })] },
      seconds: 300,
    },
    'of the Application': { parts: { applications: [application({ expiresAt: SECONDS + 20 })] }, seconds: 20 },
    'X-21 of what the request rests on': { asked: request({ notAfter: SECONDS + 10 }), seconds: 10 },
    'of the Grant': { parts: { grants: [grant({ expiresAt: SECONDS + 50 })] }, seconds: 50 },
    'of the latest of the Grants that cover a scope': {
      parts: { grants: [grant({ name: 'a', expiresAt: SECONDS + 50 }), grant({ name: 'b', expiresAt: SECONDS + 70 })] },
      seconds: 70,
    },
    'of a Grant without end where one covers the scope': {
      parts: { grants: [grant({ name: 'a', expiresAt: SECONDS + 50 }), grant({ name: 'b' })] },
      seconds: 300,
    },
    'of the earliest over the scopes': {
      parts: {
        grants: [
          grant({ name: 'a', expiresAt: SECONDS + 50 }),
          grant({ name: 'b', expiresAt: SECONDS + 70 }),
          grant({ name: 'c', scopes: ['write'], expiresAt: SECONDS + 60 }),
        ],
      },
      asked: request({ scopes: ['read', 'write'] }),
      seconds: 60,
    },
    'of a Grant that matters only: not of one for another scope': {
      parts: { grants: [grant({ name: 'a' }), grant({ name: 'b', scopes: ['write'], expiresAt: SECONDS + 5 })] },
      seconds: 300,
    },
    'of a Grant that matters only: not of one for another subject': {
      parts: {
        grants: [
          grant({ name: 'a', expiresAt: SECONDS + 40 }),
          grant({ name: 'b', subjects: [{ type: 'anyUser' }], expiresAt: later }),
        ],
      },
      seconds: 40,
    },
    'of the session for a login': { asked: login(), seconds: 3600 },
    'of the session and not of any Grant for a login': {
      parts: { grants: [grant({ expiresAt: SECONDS + 5 })] },
      asked: login(),
      seconds: 3600,
    },
  };

  it.each(Object.entries(lives))('%s', (_name, { parts, asked = request(), seconds }) => {
    const result = checkExchange(zone(parts), asked, NOW + 999);
    expect(isChecked(result) && result.expiresAt - SECONDS).toBe(seconds);
  });
});

describe('explainChecks', () => {
  it('says pass, fail with the denial, and skipped, in the order of the checks', () => {
    const reports = explainChecks(zone({ resources: [] }), request(), NOW);
    expect(reports.map(({ name }) => name)).toEqual(CHECKS.map(({ name }) => name));
    const failing = CHECKS.findIndex(({ name }) => name === 'resource is known');
    expect(reports.map(({ result }) => result)).toEqual(
      CHECKS.map((_check, index) => (index < failing ? 'pass' : index === failing ? 'fail' : 'skipped')),
    );
    expect(reports[failing]!.denial?.reason).toBe('ResourceUnknown');
  });

  it('agrees with checkExchange in every case above', () => {
    for (const { parts, asked = request() } of Object.values(cases)) {
      const result = checkExchange(zone(parts), asked, NOW);
      const failed = explainChecks(zone(parts), asked, NOW).find((report) => report.result === 'fail');
      expect(failed?.denial).toEqual(result.type === 'denial' ? result : undefined);
    }
  });
});
