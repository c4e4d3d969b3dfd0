/** The CEL rules of a schema on a value, evaluated offline as the API server does (KEP-2876). */
import { Environment } from '@marcbachmann/cel-js';
import { isRecord } from './defaults.ts';
import type { StructuralSchema } from './openAPISchema.ts';
import type { CELRule } from './schema.ts';
import type { Refusal } from './structure.ts';

const environment = new Environment({ unlistedVariablesAreDyn: false })
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn');

type Program = (context: Readonly<Record<string, unknown>>) => unknown;
const programs = new Map<string, Program>();

/** `old` is the value it replaces, undefined for a new one: rules about changes are then passed over. */
export function findRuleRefusals(
  value: unknown,
  old: unknown,
  schema: StructuralSchema,
  path: string,
): readonly Refusal[] {
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap((rule) => evaluate(rule, value, old, schema, path));
  return [...own, ...findInside(value, old, schema, path)];
}

function findInside(value: unknown, old: unknown, schema: StructuralSchema, path: string): readonly Refusal[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return [];
    return value.flatMap((item, index) =>
      findRuleRefusals(item, correlate(item, old, schema), items, `${path}[${index}]`),
    );
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const property = schema.properties?.[name] ?? schema.additionalProperties;
    if (!property || member === undefined) return [];
    const before = isRecord(old) ? old[name] : undefined;
    return findRuleRefusals(member, before, property, path === '' ? name : `${path}.${name}`);
  });
}

/** Items of a map list are the same item where their keys are; those of other lists never are. */
function correlate(item: unknown, old: unknown, schema: StructuralSchema): unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (!keys || !Array.isArray(old) || !isRecord(item)) return undefined;
  return old.find((other) => isRecord(other) && keys.every((key) => other[key] === item[key]));
}

function evaluate(
  { rule, message, fieldPath }: CELRule,
  value: unknown,
  old: unknown,
  schema: StructuralSchema,
  path: string,
): readonly Refusal[] {
  const isTransition = /\boldSelf\b/.test(rule);
  if (isTransition && old === undefined) return [];
  const at = fieldPath === undefined ? path : `${path}${fieldPath}`.replace(/^\./, '');
  const context = { self: toCEL(value, schema), ...(isTransition && { oldSelf: toCEL(old, schema) }) };
  try {
    return programOf(rule)(context) === true ? [] : [{ path: at, message }];
  } catch (error) {
    return [{ path: at, message: `${message} (${error instanceof Error ? error.message : String(error)})` }];
  }
}

function programOf(rule: string): Program {
  const known = programs.get(rule);
  if (known) return known;
  const program = environment.parse(rule) as Program;
  programs.set(rule, program);
  return program;
}

/** CEL's types: integers are int64, `date-time` strings are timestamps. */
function toCEL(value: unknown, schema: StructuralSchema): unknown {
  if (Array.isArray(value)) return value.map((item) => toCEL(item, schema.items ?? {}));
  if (isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [
        name,
        toCEL(member, schema.properties?.[name] ?? schema.additionalProperties ?? {}),
      ]),
    );
  }
  if (typeof value === 'string' && schema.format === 'date-time') return new Date(value);
  return typeof value === 'number' && schema.type === 'integer' ? BigInt(value) : value;
}
