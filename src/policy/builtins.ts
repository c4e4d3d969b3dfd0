/** The builtins that the WASM runtime asks its host for: deterministic, and held equal to OPA by the differential test. */
import { parseRFC3339, toInstant, WEEKDAYS } from './hostTime.ts';
import { formatTerms } from './sprintf.ts';
import { toJSONText, type Term } from './terms.ts';

/** The result as JSON text; undefined is Rego's undefined (OPA: a builtin error). Throws RangeError to end the evaluation. */
export type HostBuiltin = (operands: readonly Term[]) => string | undefined;

/** By name. A module that asks for any other is refused when it is loaded. */
export const HOST_BUILTINS: ReadonlyMap<string, HostBuiltin> = new Map<string, HostBuiltin>([
  ['sprintf', sprintf],
  ['strings.any_prefix_match', (operands) => anyMatch(operands, (text, part) => text.startsWith(part))],
  ['strings.any_suffix_match', (operands) => anyMatch(operands, (text, part) => text.endsWith(part))],
  ['strings.count', countText],
  ['time.parse_rfc3339_ns', ([text]) => (text?.type === 'string' ? parseRFC3339(text.value)?.toString() : undefined)],
  ['time.clock', timePart((at) => toJSONText([at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]))],
  ['time.date', timePart((at) => toJSONText([at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()]))],
  ['time.weekday', timePart((at) => toJSONText(WEEKDAYS[at.getUTCDay()]!))],
]);

function sprintf([format, args]: readonly Term[]): string | undefined {
  if (format?.type !== 'string' || args?.type !== 'array') return undefined;
  return toJSONText(formatTerms(format.value, args.items));
}

/** Both operands may be a string or a collection of strings. */
function anyMatch(operands: readonly Term[], matches: (text: string, part: string) => boolean): string | undefined {
  const [texts, parts] = operands.map(toStrings);
  if (!texts || !parts) return undefined;
  return toJSONText(texts.some((text) => parts.some((part) => matches(text, part))));
}

function toStrings(term: Term): readonly string[] | undefined {
  if (term.type === 'string') return [term.value];
  if (term.type !== 'array' && term.type !== 'set') return undefined;
  const strings = term.items.flatMap((item) => (item.type === 'string' ? [item.value] : []));
  return strings.length === term.items.length ? strings : undefined;
}

function countText([text, part]: readonly Term[]): string | undefined {
  if (text?.type !== 'string' || part?.type !== 'string') return undefined;
  const count = part.value === '' ? [...text.value].length + 1 : text.value.split(part.value).length - 1;
  return toJSONText(count);
}

function timePart(toPart: (at: Date) => string): HostBuiltin {
  return ([operand]) => {
    const at = operand && toInstant(operand);
    return at && toPart(at);
  };
}
