/** What a change of a zone touches: every mandate whose decision could differ, and as few others as can be said. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffZones } from '../../src/authority/change.ts';
import { checkExchange } from '../../src/authority/checks.ts';
import { decideExchange } from '../../src/authority/decide.ts';
import type { ExchangeRequest } from '../../src/authority/decision.ts';
import type { AuthorityChange } from '../../src/authority/feed.ts';
import type { PolicyInput, PolicyOutcome } from '../../src/authority/policyInput.ts';
import type { PolicyModule, ZoneSnapshot } from '../../src/authority/snapshot.ts';
import { applies } from '../../src/policy/assemble.ts';
import {
  NOW,
  PAYMENTS,
  SECONDS,
  application,
  grant,
  isChecked,
  login,
  policyOf,
  request,
  resource,
  user,
  zone,
  type ZoneParts,
} from './zone.ts';

const ALL: AuthorityChange = { all: true, applications: [], resources: [] };
const of = (applications: readonly string[], resources: readonly string[] = []): AuthorityChange => ({
  all: false,
  applications,
  resources,
});

const allow: PolicyModule = { name: 'allow', rego: 'package caracal.policy.allow\nallow := true\n' };
const narrow = (
  name: string,
  appliesTo: NonNullable<PolicyModule['appliesTo']>,
  rego = `package caracal.policy.${name}\n`,
): PolicyModule => ({ name, rego, appliesTo });
const withModules = (...modules: readonly PolicyModule[]): ZoneParts => ({ policy: policyOf(allow, ...modules) });
const [corp] = zone().subjectIssuers.values();

const cases: Readonly<Record<string, { before?: ZoneParts; after: ZoneParts; touched: AuthorityChange | undefined }>> =
  {
    'nothing, where nothing changed': { after: {}, touched: undefined },
    'nothing, for another signing key': {
      after: { keys: [{ kid: 'k2', x: 'a', y: 'b', activeAt: undefined }] },
      touched: undefined,
    },
    'nothing, for another rate limit': { after: { mintsPerMinute: 1 }, touched: undefined },
    'nothing, for other limits of agent sessions': {
      after: { limits: { agentSessions: 1, agentSessionsPerApplication: 1, children: 1, depth: 1 } },
      touched: undefined,
    },
    'nothing, for other settings of step-ups': {
      after: {
        stepUp: { operatorTTL: 1, subjectTTL: 1, approverApplications: ['shop.portal'], allowServiceAccounts: true },
      },
      touched: undefined,
    },
    'nothing, for a Resource that gets its mandates forwarded': {
      after: { resources: [resource({ forwardMandate: true })] },
      touched: undefined,
    },
    'nothing, for another staleness': { after: { staleAfter: 5 }, touched: undefined },
    'nothing, for another upstream, its gateways or its operations': {
      after: {
        resources: [
          resource({
            upstream: 'https://x',
            protectedBy: ['gw'],
            operations: [{ methods: ['GET'], path: '/', scopes: ['read'] }],
            operationEnforcement: 'Uniform',
          }),
        ],
      },
      touched: undefined,
    },
    'nothing, for a new Application': {
      after: { applications: [application(), application({ id: 'shop.new' })] },
      touched: undefined,
    },
    'nothing, for a new Resource with its first Grant': {
      after: {
        resources: [resource(), resource({ identifier: 'resource://new' })],
        grants: [grant(), grant({ name: 'n', resource: 'resource://new' })],
      },
      touched: undefined,
    },
    'nothing, for a new subject issuer': {
      after: { subjectIssuers: new Map([...zone().subjectIssuers, ['lab', { ...corp!, name: 'lab' }]]) },
      touched: undefined,
    },
    'nothing, for another revision of the same text': {
      after: { policy: { ...zone().policy!, revision: 2 } },
      touched: undefined,
    },
    'nothing, for another reason of a freeze': {
      before: { frozen: { reason: 'a' } },
      after: { frozen: { reason: 'b' } },
      touched: undefined,
    },
    'everything, for a freeze': { after: { frozen: { reason: 'a' } }, touched: ALL },
    'everything, for the end of a freeze': { before: { frozen: { reason: 'a' } }, after: {}, touched: ALL },
    'K-19 everything, for a re-created Zone': { after: { uid: 'second' }, touched: ALL },
    'everything, for another lifetime': { after: { mandateTTL: 60 }, touched: ALL },
    'everything, for another session lifetime': { after: { sessionTTL: 60 }, touched: ALL },
    'everything, for a subject issuer that is gone': { after: { subjectIssuers: new Map() }, touched: ALL },
    'everything, for a subject issuer with other keys': {
      after: { subjectIssuers: new Map([['corp', { ...corp!, keys: { jwksURL: 'https://other' } }]]) },
      touched: ALL,
    },
    'everything, for the loss of the policy': { after: { policy: undefined }, touched: ALL },
    'everything, for a first policy': { before: { policy: undefined }, after: {}, touched: ALL },
    'everything, for a changed Policy without appliesTo': {
      after: { policy: policyOf({ ...allow, rego: `${allow.rego}# 2` }) },
      touched: ALL,
    },
    'everything, for a new Policy without appliesTo': {
      after: withModules({ name: 'x', rego: 'package caracal.policy.x' }),
      touched: ALL,
    },
    'everything, for a changed constant module, whatever its appliesTo': {
      after: withModules(narrow('x', { applications: ['shop.cart'] }, 'package caracal.data.x\n')),
      touched: ALL,
    },
    'everything, for an appliesTo that names nothing': { after: withModules(narrow('x', {})), touched: ALL },
    'the applications of a Policy’s appliesTo': {
      after: withModules(narrow('x', { applications: ['shop.b', 'shop.a'] })),
      touched: of(['shop.a', 'shop.b']),
    },
    'the resources of a Policy’s appliesTo': {
      after: withModules(narrow('x', { resources: [PAYMENTS] })),
      touched: of([], [PAYMENTS]),
    },
    'the applications of an appliesTo that names both': {
      after: withModules(narrow('x', { resources: [PAYMENTS], applications: ['shop.cart'] })),
      touched: of(['shop.cart']),
    },
    'both readings of an appliesTo that changed': {
      before: withModules(narrow('x', { applications: ['shop.a'] })),
      after: withModules(narrow('x', { applications: ['shop.b'] })),
      touched: of(['shop.a', 'shop.b']),
    },
    'the reach of a Policy that is gone': {
      before: withModules(narrow('x', { resources: [PAYMENTS] })),
      after: withModules(),
      touched: of([], [PAYMENTS]),
    },
    'the reach of a narrow Policy behind comments': {
      after: withModules(
        narrow('x', { applications: ['shop.a'] }, '# package caracal.data.x\n\npackage caracal.policy.x\n'),
      ),
      touched: of(['shop.a']),
    },
    'the application of a Grant that is gone': { after: { grants: [] }, touched: of(['shop.cart']) },
    'the application of a Grant with fewer scopes': {
      before: { grants: [grant({ scopes: ['read', 'write'] })] },
      after: {},
      touched: of(['shop.cart']),
    },
    'the application of a Grant with another end': {
      after: { grants: [grant({ expiresAt: SECONDS + 9 })] },
      touched: of(['shop.cart']),
    },
    'the application of a Grant with other subjects': {
      after: { grants: [grant({ subjects: [{ type: 'anyUser' }] })] },
      touched: of(['shop.cart']),
    },
    'the application of a Grant that travels less far, on which the delegated mandates rest': {
      before: { grants: [grant({ delegation: 'Zone' })] },
      after: {},
      touched: of(['shop.cart']),
    },
    'nothing, for the first Grant of an Application on a Resource': {
      before: { grants: [] },
      after: {},
      touched: undefined,
    },
    'the application of a second Grant, since policies see Grants': {
      after: { grants: [grant(), grant({ name: 'h' })] },
      touched: of(['shop.cart']),
    },
    'the application that is gone': { after: { applications: [], grants: [] }, touched: of(['shop.cart']) },
    'K-19 the application that was re-created': {
      after: { applications: [application({ uid: 'second' })] },
      touched: of(['shop.cart']),
    },
    'the application that expires': {
      after: { applications: [application({ expiresAt: SECONDS + 9 })] },
      touched: of(['shop.cart']),
    },
    'the application that lost an identity': {
      after: { applications: [application({ identities: [] })] },
      touched: of(['shop.cart']),
    },
    'the application whose receivers are fewer, for every chain that it is in': {
      before: { applications: [application({ delegation: { receivers: 'Zone', applications: [] } })] },
      after: {},
      touched: of(['shop.cart']),
    },
    'the application that lists other receivers': {
      before: { applications: [application({ delegation: { receivers: 'Listed', applications: ['shop.a'] } })] },
      after: { applications: [application({ delegation: { receivers: 'Listed', applications: ['shop.b'] } })] },
      touched: of(['shop.cart']),
    },
    'the application in the middle of a chain that is gone, though it has no Grant': {
      before: { applications: [application(), application({ id: 'shop.worker' })] },
      after: {},
      touched: of(['shop.worker']),
    },
    'the resource whose mandates are good for one request only': {
      after: { resources: [resource({ singleUse: true })] },
      touched: of([], [PAYMENTS]),
    },
    'the resource whose mandates must be bound to a key': {
      after: { resources: [resource({ proofOfPossession: 'Required' })] },
      touched: of([], [PAYMENTS]),
    },
    'the resource that is gone': { after: { resources: [] }, touched: of([], [PAYMENTS]) },
    'the resource that was re-created': {
      after: { resources: [resource({ uid: 'second' })] },
      touched: of([], [PAYMENTS]),
    },
    'the resource with other scopes': {
      after: { resources: [resource({ scopes: ['read'] })] },
      touched: of([], [PAYMENTS]),
    },
    'the resource with another lifetime': {
      after: { resources: [resource({ mandateTTL: 9 })] },
      touched: of([], [PAYMENTS]),
    },
  };

describe('diffZones touches', () => {
  it.each(Object.entries(cases))('%s', (_name, { before = {}, after, touched }) => {
    expect(diffZones(zone(before), zone(after))).toEqual(touched);
  });

  it('everything, for a zone that appears or vanishes, and nothing for no zone at all', () => {
    expect([diffZones(undefined, zone()), diffZones(zone(), undefined), diffZones(undefined, undefined)]).toEqual([
      ALL,
      ALL,
      undefined,
    ]);
  });
});

const someTime = fc.constantFrom(undefined, undefined, SECONDS + 60);
const appliesTo = fc.constantFrom<PolicyModule['appliesTo'][]>(
  undefined,
  undefined,
  { applications: ['shop.cart'] },
  { applications: [] },
  { resources: [PAYMENTS] },
  { resources: ['resource://b'], applications: ['shop.b'] },
);

/** Rego that the toy engine below understands; `switch` reads the constant module. */
const modules = fc.uniqueArray(
  fc
    .record({
      name: fc.constantFrom('m', 'n', 'o', 'constants'),
      says: fc.constantFrom('allow', 'deny', 'crowded', 'short', 'switch'),
      appliesTo,
    })
    .map(({ name, says, appliesTo: reach }): PolicyModule => {
      const head = name === 'constants' ? 'package caracal.data.constants' : `package caracal.policy.${name}`;
      return { name, rego: `${head}\n${says}\n`, ...(reach && { appliesTo: reach }) };
    }),
  { selector: ({ name }) => name, maxLength: 4 },
);

function said(active: readonly PolicyModule[], input: PolicyInput): PolicyOutcome {
  const constants = active.find(({ name }) => name === 'constants')?.rego ?? '';
  const asked = active.filter((module) => module.name !== 'constants' && applies(module, input));
  const says = (word: string) => asked.filter(({ rego }) => rego.includes(`\n${word}\n`));
  const denying = [
    ...says('deny'),
    ...(input.grants.length > 1 ? says('crowded') : []),
    ...(constants.includes('deny') ? says('switch') : []),
  ];
  const denials = denying.map(({ name }) => ({ policy: name, reason: 'no' }));
  return {
    permit: denials.length === 0 && (input.action.name === 'session' || says('allow').length > 0),
    denials,
    allowedBy: says('allow').map(({ name }) => name),
    stepUps: [],
    asked: asked.map(({ name }) => name),
    ...(says('short').length > 0 && { maxTTLSeconds: 30 }),
  };
}

const anyZone: fc.Arbitrary<ZoneSnapshot> = fc
  .record({
    frozen: fc.oneof(
      { weight: 9, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constant({ reason: 'x' }) },
    ),
    mandateTTL: fc.constantFrom(300, 300, 300, 60),
    issuers: fc.constantFrom(true, true, true, false),
    modules: fc.option(modules, { freq: 9, nil: undefined }),
    applications: fc.uniqueArray(
      fc
        .record({
          id: fc.constantFrom('shop.cart', 'shop.b'),
          uid: fc.constantFrom('uid-cart', 'uid-cart', 'second'),
          expiresAt: someTime,
        })
        .map((entry) => application(entry)),
      { selector: ({ id }) => id, minLength: 1 },
    ),
    resources: fc.uniqueArray(
      fc
        .record({
          identifier: fc.constantFrom(PAYMENTS, 'resource://b'),
          scopes: fc.constantFrom(['read', 'write'], ['read', 'write'], ['read']),
          mandateTTL: fc.constantFrom(undefined, undefined, 90),
        })
        .map((entry) => resource(entry)),
      { selector: ({ identifier }) => identifier, minLength: 1 },
    ),
    grants: fc.uniqueArray(
      fc
        .record({
          name: fc.constantFrom('g', 'h', 'i', 'j'),
          applicationID: fc.constantFrom('shop.cart', 'shop.b'),
          resource: fc.constantFrom(PAYMENTS, 'resource://b'),
          scopes: fc.constantFrom(['read', 'write'], ['read'], ['write']),
          subjects: fc.constantFrom(
            [{ type: 'application' } as const],
            [{ type: 'application' } as const, { type: 'anyUser' } as const],
          ),
          expiresAt: someTime,
        })
        .map((entry) => grant(entry)),
      { selector: ({ name }) => name, minLength: 1 },
    ),
  })
  .map(({ modules: active, issuers, applications, resources, grants, ...rest }) => {
    const held = grants.filter(
      ({ applicationID, resource: identifier }) =>
        applications.some(({ id }) => id === applicationID) &&
        resources.some((entry) => entry.identifier === identifier),
    );
    const policy = active && policyOf(...active);
    return zone({
      ...rest,
      applications,
      resources,
      grants: held,
      policy,
      ...(!issuers && { subjectIssuers: new Map() }),
    });
  });

const REQUESTS: readonly ExchangeRequest[] = ['shop.cart', 'shop.b'].flatMap((applicationID) => {
  const principal = { ...request().principal, applicationID };
  const itself = { ...request().subject, sub: applicationID };
  return [
    login({ principal, subject: itself }),
    login({ principal, subject: user() }),
    ...[PAYMENTS, 'resource://b'].flatMap((identifier) =>
      [['read'], ['read', 'write']].flatMap((scopes) =>
        [itself, user()].map((subject) => request({ principal, subject, resource: identifier, scopes })),
      ),
    ),
  ];
});

/** The end of the mandate that the zone would give, undefined where it gives none. */
function mandateOf(snapshot: ZoneSnapshot, asked: ExchangeRequest): number | undefined {
  const checked = checkExchange(snapshot, asked, NOW);
  if (!isChecked(checked)) return undefined;
  const outcomes = checked.inputs.map((input) => said(snapshot.policy!.modules, input));
  const decision = decideExchange(checked, outcomes, snapshot, NOW);
  return decision.type === 'permit' ? decision.expiresAt : undefined;
}

function touches(change: AuthorityChange | undefined, { principal, resource: target }: ExchangeRequest): boolean {
  if (!change) return false;
  return (
    change.all ||
    change.applications.includes(principal.applicationID) ||
    (target !== undefined && change.resources.includes(target))
  );
}

describe('R-01 diffZones misses no mandate', () => {
  it('whose decision is another in the second of any two snapshots', () => {
    let lost = 0;
    fc.assert(
      fc.property(anyZone, anyZone, (before, after) => {
        const change = diffZones(before, after);
        for (const asked of REQUESTS) {
          const end = mandateOf(before, asked);
          if (end === undefined || mandateOf(after, asked) === end) continue;
          lost += 1;
          expect(touches(change, asked)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(lost).toBeGreaterThan(500);
  });

  it('whose decision is another after one small change', () => {
    const parts = ['policy', 'applications', 'resources', 'grants'] as const;
    let narrowed = 0;
    let lost = 0;
    fc.assert(
      fc.property(anyZone, anyZone, fc.constantFrom(...parts), (before, other, part) => {
        const after = { ...before, [part]: other[part], digest: `${before.digest}-${other.digest}` };
        const change = diffZones(before, after);
        if (change?.all === false) narrowed += 1;
        for (const asked of REQUESTS) {
          const end = mandateOf(before, asked);
          if (end === undefined || mandateOf(after, asked) === end) continue;
          lost += 1;
          expect(touches(change, asked)).toBe(true);
        }
      }),
      { numRuns: 4000 },
    );
    expect(Math.min(narrowed, lost)).toBeGreaterThan(500);
  });
});
