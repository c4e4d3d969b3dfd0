/** What every kind promises: bounds and descriptions everywhere, defaults under parents that have one, reasons with a fix. */
import { describe, expect, it } from 'vitest';
import { KINDS } from '../../src/api/kinds.ts';
import { toObjectSchema, type StructuralSchema } from '../../src/api/openAPISchema.ts';

interface Place {
  readonly path: string;
  readonly schema: StructuralSchema;
}

function placesOf(path: string, schema: StructuralSchema): readonly Place[] {
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
    placesOf(`${path}.${name}`, member),
  );
  const items = schema.items ? placesOf(`${path}[]`, schema.items) : [];
  const values = schema.additionalProperties ? placesOf(`${path}{}`, schema.additionalProperties) : [];
  return [{ path, schema }, ...members, ...items, ...values];
}

function isBounded({
  type,
  enum: values,
  format,
  maxLength,
  maxItems,
  additionalProperties,
  ...rest
}: StructuralSchema) {
  if (type === 'string') return values !== undefined || maxLength !== undefined || format === 'date-time';
  if (type === 'array') return maxItems !== undefined;
  if (additionalProperties) return rest.maxProperties !== undefined;
  return true;
}

/** Parents without a default of their own would keep their children's defaults from being filled in. */
function isReachable(schema: StructuralSchema): boolean {
  const members = Object.values(schema.properties ?? {});
  return members.every((member) => {
    const holdsDefaults = Object.values(member.properties ?? {}).some((inner) => inner.default !== undefined);
    return (!holdsDefaults || member.default !== undefined) && isReachable(member);
  });
}

describe.each(KINDS)('$kind', (definition) => {
  const { properties } = toObjectSchema(definition);
  const places = [...placesOf('spec', properties!['spec']!), ...placesOf('status', properties!['status']!)];

  it('bounds every string, list and mapping', () => {
    expect(places.filter(({ schema }) => !isBounded(schema)).map(({ path }) => path)).toEqual([]);
  });

  it('describes every field', () => {
    const silent = places.filter(({ path, schema }) => !/[\]}]$/.test(path) && !schema.description);
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it('has defaults only where the API server fills them in', () => {
    expect(isReachable(properties!['spec']!)).toBe(true);
  });

  it('gives every reason a meaning, and every False and Unknown a fix', () => {
    const reasons = Object.values(definition.conditions).flatMap(({ reasons: all }) => Object.entries(all));
    const poor = reasons.filter(
      ([, { meaning, fix, status }]) => meaning === '' || fix === '' || (status !== 'True' && fix === 'nothing'),
    );
    expect(poor.map(([reason]) => reason)).toEqual([]);
  });
});
