/** Judges a value by a structural schema, in the words of the API server, and names unknown fields. */
import { isRecord } from './defaults.ts';
import type { StructuralSchema } from './openAPISchema.ts';

export interface Refusal {
  /** Such as `spec.identities[0].oidc.issuer`. */
  readonly path: string;
  readonly message: string;
}

/** Every refusal of the value and what is in it. */
export function findRefusals(value: unknown, schema: StructuralSchema, path: string): readonly Refusal[] {
  const wrongType = checkType(value, schema, path);
  if (wrongType) return [wrongType];
  if (Array.isArray(value)) return checkArray(value, schema, path);
  if (isRecord(value)) return checkObject(value, schema, path);
  return typeof value === 'string' ? checkString(value, schema, path) : checkNumber(value, schema, path);
}

function refuse(path: string, message: string): Refusal {
  return { path, message };
}

function checkType(value: unknown, { type }: StructuralSchema, path: string): Refusal | undefined {
  if (type === undefined || typeOf(value) === type || (type === 'number' && typeOf(value) === 'integer'))
    return undefined;
  const fix = type === 'string' && typeof value === 'boolean' ? BARE_BOOLEAN : '';
  return refuse(path, `must be of type ${type}, is ${typeOf(value)}${fix}`);
}

const BARE_BOOLEAN = ': a bare y, n, yes, no, on or off is a boolean in YAML, so put it in quotes';

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkObject(
  value: Readonly<Record<string, unknown>>,
  schema: StructuralSchema,
  path: string,
): readonly Refusal[] {
  const { properties = {}, additionalProperties, required = [] } = schema;
  if (schema['x-kubernetes-preserve-unknown-fields']) return [];
  const refusals = required
    .filter((name) => value[name] === undefined)
    .map((name) => refuse(join(path, name), 'Required value'));
  if (schema.maxProperties !== undefined && Object.keys(value).length > schema.maxProperties) {
    refusals.push(refuse(path, `must have at most ${schema.maxProperties} items`));
  }
  for (const [name, member] of Object.entries(value)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (member === undefined) continue;
    if (property) refusals.push(...findRefusals(member, property, join(path, name)));
    else
      refusals.push(
        refuse(join(path, name), `unknown field "${join(path, name)}"${suggest(name, Object.keys(properties))}`),
      );
  }
  return refusals;
}

function join(path: string, name: string): string {
  const step = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `["${name}"]`;
  return path === '' ? step : step.startsWith('[') ? `${path}${step}` : `${path}.${step}`;
}

/** RFC 7518 §6.2.2, §6.3.2 and §6.4: what must never leave the owner of a key. */
const PRIVATE_JWK_MEMBERS: ReadonlySet<string> = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']);
const PRIVATE_KEY =
  ': it is the private part of a key: take it out, and use another key, since this one is no secret now';

/** The field that was probably meant. */
function suggest(name: string, known: readonly string[]): string {
  if (name === 'true' || name === 'false') return BARE_BOOLEAN;
  if (PRIVATE_JWK_MEMBERS.has(name) && known.includes('kty')) return PRIVATE_KEY;
  const close = known.find((candidate) => isClose(name.toLowerCase(), candidate.toLowerCase()));
  return close === undefined ? '' : `: did you mean ${close}?`;
}

/** At most two edits apart. */
function isClose(a: string, b: string): boolean {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substitution = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]! <= 2;
}

function checkArray(value: readonly unknown[], schema: StructuralSchema, path: string): readonly Refusal[] {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = schema;
  const refusals: Refusal[] = [];
  if (value.length > maxItems) refusals.push(refuse(path, `must have at most ${maxItems} items`));
  if (value.length < minItems) refusals.push(refuse(path, `should have at least ${minItems} items`));
  refusals.push(...checkDistinct(value, schema, path));
  if (items) refusals.push(...value.flatMap((item, index) => findRefusals(item, items, `${path}[${index}]`)));
  return refusals;
}

function checkDistinct(value: readonly unknown[], schema: StructuralSchema, path: string): readonly Refusal[] {
  const listType = schema['x-kubernetes-list-type'];
  if (listType === undefined || listType === 'atomic') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  return value.flatMap((item, index) => {
    const identity = isRecord(item) ? Object.fromEntries(keys.map((name) => [name, item[name]])) : item;
    const key = JSON.stringify(identity);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [refuse(`${path}[${index}]`, `Duplicate value: ${key}`)];
  });
}

function checkString(value: string, schema: StructuralSchema, path: string): readonly Refusal[] {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, format } = schema;
  const length = [...value].length;
  const refusals: Refusal[] = [];
  if (length > maxLength) refusals.push(refuse(path, `Too long: may not be more than ${maxLength} bytes`));
  if (length < minLength) refusals.push(refuse(path, `should be at least ${minLength} chars long`));
  if (pattern !== undefined && !patternOf(pattern).test(value))
    refusals.push(refuse(path, `should match '${pattern}'`));
  if (schema.enum && !schema.enum.includes(value)) {
    refusals.push(
      refuse(
        path,
        `Unsupported value: "${value}": supported values: ${schema.enum.map((one) => `"${one}"`).join(', ')}`,
      ),
    );
  }
  if (format === 'date-time' && !isDateTime(value))
    refusals.push(refuse(path, 'must be of type date-time, such as 2026-01-31T12:00:00Z'));
  return refusals;
}

const patterns = new Map<string, RegExp>();

function patternOf(pattern: string): RegExp {
  const known = patterns.get(pattern) ?? new RegExp(pattern, 'u');
  patterns.set(pattern, known);
  return known;
}

/** `date-time` as the API server reads it: RFC 3339 §5.6 without leap seconds. */
export function isDateTime(text: string): boolean {
  const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.exec(text);
  if (!form) return false;
  const [year, month, day, hour, minute, second] = form.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return isDate(year, month, day) && hour <= 23 && minute <= 59 && second <= 59;
}

function isDate(year: number, month: number, day: number): boolean {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return days !== undefined && day >= 1 && day <= days;
}

function checkNumber(value: unknown, { minimum, maximum }: StructuralSchema, path: string): readonly Refusal[] {
  if (typeof value !== 'number') return [];
  if (minimum !== undefined && value < minimum) return [refuse(path, `should be greater than or equal to ${minimum}`)];
  if (maximum !== undefined && value > maximum) return [refuse(path, `should be less than or equal to ${maximum}`)];
  return [];
}
