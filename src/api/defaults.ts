/** Fills in defaults and drops nulls as the API server does: parents first, so that a parent's `{}` gets its children's. */
import type { StructuralSchema } from './openAPISchema.ts';

/** A copy with defaults; what is there stays. A null of a known field counts as absent, since no field of ours is nullable. */
export function withDefaults(value: unknown, schema: StructuralSchema): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item) => withDefaults(item, schema.items!)) : value;
  if (!isRecord(value)) return value;
  const filled: Record<string, unknown> = Object.fromEntries(
    Object.entries(value).filter(([name, member]) => !(member === null && schemaOf(name, schema))),
  );
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!Object.hasOwn(filled, name) && property.default !== undefined)
      filled[name] = structuredClone(property.default);
  }
  for (const [name, member] of Object.entries(filled)) {
    const property = schemaOf(name, schema);
    if (property) filled[name] = withDefaults(member, property);
  }
  return filled;
}

/** The schema of one member, undefined where the schema says nothing of it. */
export function schemaOf(name: string, { properties, additionalProperties }: StructuralSchema) {
  return properties && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
