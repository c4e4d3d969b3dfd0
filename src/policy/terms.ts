/** Rego values as text: reads what the WASM runtime dumps, and writes terms as OPA prints them. */

/** A number keeps its text, since Rego's integers are wider than a double. */
export type Term =
  | { readonly type: 'null' }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'number'; readonly text: string }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly items: readonly Term[] }
  | { readonly type: 'set'; readonly items: readonly Term[] }
  | { readonly type: 'object'; readonly members: readonly (readonly [Term, Term])[] };

const MAX_DEPTH = 64;

/** Parses the runtime's dump: JSON, with sets as `{a, b}` or `set()` and any term as an object key. Throws SyntaxError. */
export function parseTerm(text: string): Term {
  const cursor: Cursor = { text, at: 0 };
  const term = readTerm(cursor, 0);
  skipSpace(cursor);
  if (cursor.at !== text.length) fail(cursor);
  return term;
}

interface Cursor {
  readonly text: string;
  at: number;
}

const LITERALS: readonly (readonly [string, Term])[] = [
  ['null', { type: 'null' }],
  ['true', { type: 'boolean', value: true }],
  ['false', { type: 'boolean', value: false }],
  ['set()', { type: 'set', items: [] }],
];

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;

function readTerm(cursor: Cursor, depth: number): Term {
  if (depth > MAX_DEPTH) throw new SyntaxError('a value is nested too deeply');
  skipSpace(cursor);
  switch (cursor.text[cursor.at]) {
    case '"':
      return { type: 'string', value: JSON.parse(match(cursor, STRING)) as string };
    case '[':
      return { type: 'array', items: readList(cursor, ']', depth) };
    case '{':
      return readBraces(cursor, depth);
    default:
      return readLiteral(cursor);
  }
}

function readLiteral(cursor: Cursor): Term {
  const literal = LITERALS.find(([word]) => cursor.text.startsWith(word, cursor.at));
  if (!literal) return { type: 'number', text: match(cursor, NUMBER) };
  cursor.at += literal[0].length;
  return literal[1];
}

function readList(cursor: Cursor, close: string, depth: number): readonly Term[] {
  cursor.at += 1;
  const items: Term[] = [];
  if (take(cursor, close)) return items;
  do items.push(readTerm(cursor, depth + 1));
  while (take(cursor, ','));
  if (!take(cursor, close)) fail(cursor);
  return items;
}

/** An object, unless its first element is followed by no colon: then a set. */
function readBraces(cursor: Cursor, depth: number): Term {
  const start = cursor.at;
  cursor.at += 1;
  if (take(cursor, '}')) return { type: 'object', members: [] };
  const first = readTerm(cursor, depth + 1);
  if (!take(cursor, ':')) {
    cursor.at = start;
    return { type: 'set', items: readList(cursor, '}', depth) };
  }
  const members: (readonly [Term, Term])[] = [[first, readTerm(cursor, depth + 1)]];
  while (take(cursor, ',')) {
    const key = readTerm(cursor, depth + 1);
    if (!take(cursor, ':')) fail(cursor);
    members.push([key, readTerm(cursor, depth + 1)]);
  }
  if (!take(cursor, '}')) fail(cursor);
  return { type: 'object', members };
}

function match(cursor: Cursor, pattern: RegExp): string {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text)?.[0];
  if (found === undefined) return fail(cursor);
  cursor.at += found.length;
  return found;
}

function take(cursor: Cursor, token: string): boolean {
  skipSpace(cursor);
  if (cursor.text[cursor.at] !== token) return false;
  cursor.at += 1;
  return true;
}

function skipSpace(cursor: Cursor): void {
  while (' \n\t\r'.includes(cursor.text[cursor.at] ?? 'x')) cursor.at += 1;
}

function fail(cursor: Cursor): never {
  throw new SyntaxError(`unexpected text at ${cursor.at} of a value`);
}

/** As OPA prints a term in `sprintf("%v")`: members of sets and objects in Rego's order. */
export function toTermText(term: Term): string {
  switch (term.type) {
    case 'null':
      return 'null';
    case 'boolean':
      return String(term.value);
    case 'number':
      return term.text;
    case 'string':
      return toGoQuoted(term.value);
    case 'array':
      return `[${term.items.map(toTermText).join(', ')}]`;
    case 'set':
      return term.items.length === 0 ? 'set()' : `{${sortedItems(term.items).map(toTermText).join(', ')}}`;
    case 'object': {
      const members = sortedMembers(term.members);
      return `{${members.map(([key, value]) => `${toTermText(key)}: ${toTermText(value)}`).join(', ')}}`;
    }
  }
}

const ORDER = ['null', 'boolean', 'number', 'string', 'array', 'object', 'set'] as const;

/** Rego's order of all values: by type, then by content. */
function compareTerms(a: Term, b: Term): number {
  if (a.type === 'number' && b.type === 'number') return Number(a.text) - Number(b.text);
  if (a.type === 'string' && b.type === 'string') return Buffer.compare(Buffer.from(a.value), Buffer.from(b.value));
  if (a.type === 'boolean' && b.type === 'boolean') return Number(a.value) - Number(b.value);
  if (a.type === 'array' && b.type === 'array') return compareLists(a.items, b.items);
  if (a.type === 'set' && b.type === 'set') return compareLists(sortedItems(a.items), sortedItems(b.items));
  if (a.type === 'object' && b.type === 'object') {
    return compareLists(sortedMembers(a.members).flat(), sortedMembers(b.members).flat());
  }
  return ORDER.indexOf(a.type) - ORDER.indexOf(b.type);
}

function compareLists(a: readonly Term[], b: readonly Term[]): number {
  for (const [index, item] of a.entries()) {
    const other = b[index];
    const difference = other ? compareTerms(item, other) : 1;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function sortedItems(items: readonly Term[]): readonly Term[] {
  return items.toSorted(compareTerms);
}

type Members = Extract<Term, { type: 'object' }>['members'];

function sortedMembers(members: Members): Members {
  return members.toSorted(([a], [b]) => compareTerms(a, b));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** Go's strconv.Quote for printable text and control characters; what Go prints otherwise differs throws RangeError. */
function toGoQuoted(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (ESCAPES[character] !== undefined) quoted += ESCAPES[character];
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code < 0x7f || /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)) quoted += character;
    else throw new RangeError('sprintf cannot print a character inside a composite value that has no printed form');
  }
  return `${quoted}"`;
}

/** A term as JSON text, for values that go back into the runtime; sets cannot. */
export function toJSONText(value: string | number | boolean | readonly (string | number)[]): string {
  return JSON.stringify(value);
}
