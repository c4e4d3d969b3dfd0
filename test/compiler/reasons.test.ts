/** What compile and status write is what src/api declares: kinds, types, reasons, which of them stall, and fields. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toStatusShape, type KindDefinition } from '../../src/api/kind.ts';
import { KINDS } from '../../src/api/kinds.ts';
import type { BaseStatus } from '../../src/api/meta.ts';
import { compile } from '../../src/compiler/compile.ts';
import { toStatus, type Observation } from '../../src/compiler/status.ts';
import type { Verdict } from '../../src/compiler/verdict.ts';
import { anyObjects, toWorld } from './arbitrary.ts';
import { ALLOW, NOW, results } from './world.ts';

const DEFINITIONS = new Map(KINDS.map((definition) => [definition.kind, definition]));

/** conditions.md: Accepted=False of each kind; `!` marks what only an edit helps with. */
const ACCEPTED: Readonly<Record<string, string>> = {
  Zone: 'ReservedName!',
  Application:
    'ReservedName! ReferenceNotPermitted ReferenceNotFound ReferenceNotAccepted ZoneMismatch! Conflicted! KeysInvalid! Expired!',
  Resource:
    'ReservedName! ReferenceNotPermitted ReferenceNotFound ReferenceNotAccepted ZoneMismatch! IdentifierNotPermitted! Conflicted! ScopeNotDeclared! OperationsAmbiguous!',
  Grant:
    'ReservedName! ReferenceNotPermitted ReferenceNotFound ReferenceNotAccepted ZoneMismatch! ScopeNotDeclared! IssuerNotTrusted! NotYetValid Expired!',
  Policy: 'ReservedName! CompileFailed! PackageInvalid! TestsFailed! TooLarge!',
  PolicySet: 'ReservedName! ReferenceNotFound ReferenceNotAccepted PackageConflict! CompileFailed! TooLarge!',
  PolicySetRevision: 'ReservedName!',
};

function declared({ conditions }: KindDefinition, type: string): readonly string[] {
  const reasons = Object.entries(conditions[type]?.reasons ?? {});
  return reasons
    .filter(([, { status }]) => status === 'False')
    .map(([name, { stalled }]) => (stalled ? `${name}!` : name));
}

const failing = results(
  new Map([
    [`${ALLOW}# 2\n`, { ok: false, reason: 'TestsFailed', message: 't', testsPassed: 0, testsTotal: 1 } as const],
  ]),
);
const observations: fc.Arbitrary<Observation> = fc.record(
  {
    replicas: fc.constantFrom('none' as const, 'behind' as const, 'current' as const),
    gateways: fc.constantFrom({ connected: 0, current: 0 }, { connected: 3, current: 2 }, { connected: 3, current: 3 }),
    issuer: fc.constant('https://sts.example'),
  },
  { requiredKeys: ['replicas'] },
);

function checkStatus(verdict: Verdict, observation: Observation): void {
  const status = toStatus(verdict, undefined, observation, NOW) as BaseStatus;
  const definition = DEFINITIONS.get(verdict.kind)!;
  expect(toStatusShape(definition).parse(status)).toEqual(status);
  for (const { type, status: value, reason } of status.conditions!) {
    if (type === 'Ready' || type === 'Stalled' || type === 'Reconciling') continue;
    const known = definition.conditions[type]?.reasons[reason];
    expect([verdict.kind, type, reason, known?.status]).toEqual([verdict.kind, type, reason, value]);
  }
  const stalled = status.conditions!.find(({ type }) => type === 'Stalled');
  const ready = status.conditions!.find(({ type }) => type === 'Ready');
  if (!ready) return;
  const source = status.conditions!.find(
    ({ type, status: value, reason }) => type !== 'Ready' && value === ready.status && reason === ready.reason,
  );
  const isStalling =
    source !== undefined && definition.conditions[source.type]?.reasons[ready.reason]?.stalled === true;
  expect([verdict.kind, ready.reason, stalled !== undefined]).toEqual([verdict.kind, ready.reason, isStalling]);
}

describe('conditions and reasons', () => {
  it.each(Object.entries(ACCEPTED))(
    'Accepted of a %s is declared with the closed table of reasons',
    (kind, expected) => {
      expect(declared(DEFINITIONS.get(kind)!, 'Accepted').toSorted()).toEqual(expected.split(' ').toSorted());
    },
  );

  it('every status of every world is as its kind declares, field by field', () => {
    fc.assert(
      fc.property(anyObjects, observations, (objects, observation) => {
        const { verdicts } = compile(toWorld(objects), NOW, failing);
        for (const verdict of verdicts.values()) checkStatus(verdict, observation);
      }),
      { numRuns: 200 },
    );
  });
});
