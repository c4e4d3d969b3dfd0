/** The offline validator where no API server is needed to tell right from wrong. */
import { describe, expect, it } from 'vitest';
import { validateObject } from '../../src/api/validate.ts';
import { SAMPLES } from './samples.ts';

const zone = SAMPLES[0]!;
const full = SAMPLES[1]!;

const application = SAMPLES.find(({ kind }) => kind === 'Application')!;
const privateKey = { privateKeyJWT: { jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', d: 'c' }] } } };

/** `path: message` of each refusal. */
function refusals(value: unknown, old?: unknown): readonly string[] {
  const result = validateObject(value, old);
  return result.ok ? [] : result.refused.map(({ path, message }) => `${path}: ${message}`);
}

describe('validateObject', () => {
  it('fills in defaults, parents first, and leaves the given object as it was', () => {
    const given = structuredClone(zone);
    const result = validateObject(given);
    expect(result).toEqual({
      ok: true,
      object: {
        ...zone,
        spec: {
          allowedNamespaces: { from: 'Same' },
          tokens: { mandateTTL: '5m', sessionTTL: '60m' },
          keys: { rotateEvery: '720h', publishBefore: '10m', overlap: '24h' },
          limits: {
            agentSessions: 1000,
            agentSessionsPerApplication: 200,
            children: 10,
            depth: 10,
            mintsPerMinute: 60_000,
          },
          stepUp: { operatorTTL: '4h', subjectTTL: '15m', allowServiceAccounts: false },
          enforcement: { staleAfter: '10s' },
        },
      },
    });
    expect(given).toEqual(zone);
  });

  it('keeps what is given beside the defaults', () => {
    expect(validateObject(full)).toEqual({ ok: true, object: full });
  });

  it.each([
    ['no mapping', 7, ': an object with apiVersion, kind, metadata and spec is needed'],
    ['no apiVersion', { ...zone, apiVersion: undefined }, 'apiVersion: must be caracal.run/v1alpha1'],
    ['another version', { ...zone, apiVersion: 'caracal.run/v1' }, 'apiVersion: must be caracal.run/v1alpha1'],
    [
      'an unknown kind',
      { ...zone, kind: 'Zones' },
      'kind: must be one of Zone, Application, Resource, Grant, Policy, PolicySet, PolicySetRevision',
    ],
    ['no metadata', { ...zone, metadata: undefined }, 'metadata: Required value: an object needs metadata.name'],
    ['no name', { ...zone, metadata: {} }, 'metadata.name: Required value: name is required'],
    [
      'a label that is a number',
      { ...zone, metadata: { name: 'a', labels: { tier: 1 } } },
      'must be a string: put it in quotes',
    ],
    [
      'a label key with a space',
      { ...zone, metadata: { name: 'a', labels: { 'a b': 'c' } } },
      'a key must be a qualified name',
    ],
    [
      'a label value too long',
      { ...zone, metadata: { name: 'a', labels: { a: 'b'.repeat(64) } } },
      'no more than 63 bytes',
    ],
    [
      'annotations too large',
      { ...zone, metadata: { name: 'a', annotations: { a: 'b'.repeat(262_144) } } },
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ],
    [
      'a namespace that YAML takes for a boolean',
      { ...zone, metadata: { name: 'a', namespace: false } },
      'metadata.namespace: must be a string: put it in quotes',
    ],
    [
      'a name that is a number',
      { ...zone, metadata: { name: 7 } },
      'metadata.name: must be a string: put it in quotes',
    ],
    [
      'a text that YAML takes for a boolean',
      { ...zone, spec: { displayName: true } },
      'spec.displayName: must be of type string, is boolean: a bare y, n, yes, no, on or off is a boolean in YAML, so put it in quotes',
    ],
    [
      'the private part of a key, and does not take it for another field',
      { ...application, spec: { ...(application.spec as object), identities: [privateKey] } },
      'keys[0].d": it is the private part of a key: take it out, and use another key, since this one is no secret now',
    ],
    [
      'a namespace with a dot',
      { ...zone, metadata: { name: 'a', namespace: 'a.b' } },
      'metadata.namespace: a lowercase RFC 1123 label',
    ],
  ])('refuses %s', (_what, value, text) => {
    expect(refusals(value).join('\n')).toContain(text);
  });

  it('names every refused field, and the field that was probably meant', () => {
    const spec = { displayname: 'Shop', tokens: { mandateTTL: 5 }, enforcement: { staleafter: '5s' } };
    expect(refusals({ ...zone, spec }).toSorted()).toEqual([
      'spec.displayname: unknown field "spec.displayname": did you mean displayName?',
      'spec.enforcement.staleafter: unknown field "spec.enforcement.staleafter": did you mean staleAfter?',
      'spec.tokens.mandateTTL: must be of type string, is integer',
    ]);
  });

  it('takes labels and annotations of other tools', () => {
    const metadata = {
      name: 'a',
      namespace: 'shop',
      labels: { 'app.kubernetes.io/name': 'shop', empty: '' },
      annotations: { 'example.com/Note': 'any text at all, ü too' },
    };
    expect(refusals({ ...zone, metadata })).toEqual([]);
  });

  it('judges a change only by the rules of changes, and only where there is something before', () => {
    const grant = SAMPLES.find(({ kind }) => kind === 'Grant')!;
    const moved = { ...grant, spec: { ...(grant.spec as object), zoneRef: { name: 'other' } } };
    expect(refusals(moved)).toEqual([]);
    expect(refusals(moved, grant)).toEqual(['spec.zoneRef: is immutable: delete the object and create it anew']);
    expect(refusals(grant, grant)).toEqual([]);
  });

  it('is not led astray by names of Object.prototype', () => {
    const spec = JSON.parse('{"__proto__": {"displayName": "x"}, "constructor": 1, "toString": "x"}') as unknown;
    expect(refusals({ ...zone, spec })).toHaveLength(3);
  });
});
