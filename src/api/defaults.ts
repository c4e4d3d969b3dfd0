/** Fills in defaults as the API server does: parents first, so that a parent's `{}` gets its children's. */
import type { StructuralSchema } from './openAPISchema.ts';

/** A copy with defaults; what is there stays, a null of a field with a default counts as absent. */
export function withDefaults(value: unknown, schema: StructuralSchema): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item) => withDefaults(item, schema.items!)) : value;
  if (!isRecord(value)) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isAbsent = filled[name] === undefined || filled[name] === null;
    if (isAbsent && property.default !== undefined) filled[name] = structuredClone(property.default);
    if (filled[name] !== undefined) filled[name] = withDefaults(filled[name], property);
  }
  return filled;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
