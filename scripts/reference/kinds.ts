/** docs/reference/kinds.md: every field of every kind, from the schema that the CRDs carry. */
import type { KindDefinition } from '../../src/api/kind.ts';
import { KINDS } from '../../src/api/kinds.ts';
import { API_VERSION } from '../../src/api/meta.ts';
import { toObjectSchema, type StructuralSchema } from '../../src/api/openAPISchema.ts';
import { table } from './table.ts';

const INTRODUCTION = `# Kinds

Generated from the code. All are namespaced, of \`${API_VERSION}\` and in the category \`caracal\` (\`kubectl get caracal\`). Names are DNS labels.

Unknown fields are refused. Durations are written as \`15m\` or \`1h30m\`, instants as RFC 3339. In YAML, put the member \`"y"\` of a JWK in quotes: a bare
\`y\` is a boolean to kubectl.
`;

export function kindsReference(): string {
  return [INTRODUCTION, ...KINDS.map(toSection)].join('\n');
}

function toSection(kind: KindDefinition): string {
  const { properties } = toObjectSchema(kind);
  const [spec, status] = [properties!['spec']!, properties!['status']!];
  const rules = rulesOf(spec, 'spec');
  return [
    `## ${kind.kind}\n\n${kind.description} Short name \`${kind.shortNames.join('`, `')}\`; names of at most ${kind.maxNameLength} characters.\n`,
    table(['Field', 'Type', 'Meaning'], fieldsOf(spec, 'spec', true)),
    ...(rules.length > 0 ? ['Rules\n', table(['On', 'Rule'], rules)] : []),
    'Status\n',
    table(
      ['Field', 'Type', 'Meaning'],
      fieldsOf(status, 'status', false).filter(([path]) => !path!.includes('conditions[]')),
    ),
    `Columns: ${kind.printerColumns.map(({ name, priority }) => (priority ? `${name} (wide)` : name)).join(', ')}, Age.\n`,
  ].join('\n');
}

type Row = readonly string[];

function fieldsOf(schema: StructuralSchema, path: string, showsRequired: boolean): readonly Row[] {
  if (schema.type === 'array' && schema.items) return fieldsOf(schema.items, `${path}[]`, showsRequired);
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): readonly Row[] => {
    const own = `${path}.${name}`;
    const isRequired = showsRequired && schema.required?.includes(name) === true;
    return [
      [`\`${own}\``, toType(property, isRequired), property.description ?? ''],
      ...fieldsOf(property, own, showsRequired),
    ];
  });
}

function toType(schema: StructuralSchema, isRequired: boolean): string {
  const bounds = [
    ...boundsOf(schema),
    ...(schema.items ? boundsOf(schema.items).map((bound) => `${bound} each`) : []),
    ...(schema.additionalProperties ? boundsOf(schema.additionalProperties).map((bound) => `${bound} each`) : []),
    schema.default !== undefined && typeof schema.default !== 'object' && `default \`${String(schema.default)}\``,
    isRequired && 'required',
  ].filter((part) => typeof part === 'string' && part !== '');
  return [typeName(schema), ...bounds].join(', ');
}

function boundsOf(schema: StructuralSchema): readonly string[] {
  return [
    schema.enum?.map((one) => `\`${one}\``).join(' or ') ?? '',
    toRange(schema.minLength, schema.maxLength, 'characters'),
    toRange(schema.minItems, schema.maxItems, 'items'),
    toRange(undefined, schema.maxProperties, 'entries'),
    toRange(schema.minimum, schema.maximum, ''),
  ].filter((bound) => bound !== '');
}

function typeName({ type, items, format, additionalProperties }: StructuralSchema): string {
  if (type === 'array') return `list of ${items?.type ?? 'anything'}`;
  if (additionalProperties) return 'mapping of strings';
  return format ?? type ?? 'anything';
}

function toRange(min: number | undefined, max: number | undefined, unit: string): string {
  if (min === undefined && max === undefined) return '';
  if (max === undefined || max >= Number.MAX_SAFE_INTEGER) return `at least ${min ?? 0} ${unit}`.trim();
  return `${min === undefined ? 'at most ' : `${min} to `}${max} ${unit}`.trim();
}

function rulesOf(schema: StructuralSchema, path: string): readonly Row[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => [`\`${path}\``, message]);
  const inside = Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
    rulesOf(property, `${path}.${name}`),
  );
  return [...own, ...inside, ...(schema.items ? rulesOf(schema.items, `${path}[]`) : [])];
}
