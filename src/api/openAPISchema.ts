/** A kind's structural OpenAPI v3 schema: the one truth that the CRD carries and the offline validator reads. */
import * as z from 'zod';
import { toStatusShape, type KindDefinition } from './kind.ts';
import { perKind } from './perKind.ts';
import type { CELRule } from './schema.ts';

/** A structural schema as we emit it: only these keywords occur. */
export interface StructuralSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly required?: readonly string[];
  readonly items?: StructuralSchema;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly 'x-kubernetes-validations'?: readonly CELRule[];
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
}

/** The schema of the whole object. */
export const toObjectSchema = perKind((kind: KindDefinition): StructuralSchema => {
  return {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    'x-kubernetes-validations': [toNameRule(kind)],
    properties: {
      apiVersion: { type: 'string', description: 'The version of this representation.' },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: { type: 'object' },
      spec: withRules({ description: `What the ${kind.kind} should be.`, ...toStructural(kind.spec) }, kind.specRules),
      status: toStructural(toStatusShape(kind)),
    },
  };
});

/** metadata.name is the only part of metadata that rules of a CRD see; the API server itself lets dots pass. */
function toNameRule({ maxNameLength }: KindDefinition): CELRule {
  return {
    rule: `!self.metadata.name.contains('.') && size(self.metadata.name) <= ${maxNameLength}`,
    message: `metadata.name must be a DNS label of at most ${maxNameLength} characters`,
  };
}

function withRules(schema: StructuralSchema, rules: readonly CELRule[]): StructuralSchema {
  if (rules.length === 0) return schema;
  return { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), ...rules] };
}

function toStructural(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' });
  return clean(json) as StructuralSchema;
}

/** Takes out what structural schemas may not have, or say already. */
function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== '$schema' && key !== 'id' && key !== 'propertyNames');
  const cleaned = Object.fromEntries(entries.map(([key, member]) => [key, key === 'default' ? member : clean(member)]));
  if (cleaned['x-kubernetes-preserve-unknown-fields'] === true) delete cleaned['additionalProperties'];
  return cleaned;
}
