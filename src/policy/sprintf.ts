/** `sprintf` as OPA does it (Go's fmt) for a closed set of verbs; anything outside it is an error, never a guess. */
import { toTermText, type Term } from './terms.ts';

/** One piece of a format: literal text, or a verb with its width. */
type Piece =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'verb';
      readonly verb: 's' | 'v' | 'd';
      readonly width: number;
      readonly pad: 'left' | 'right' | 'zero';
    };

/** What is supported, for messages. */
const SUPPORTED_VERBS = '%s, %v, %d (also with a width, such as %-10s or %02d) and %%';

const DIRECTIVE = /%(?:%|([0-]?)([1-9]\d{0,2})?([svd]))/y;

/** Parses a format. Throws RangeError naming the first directive that is not supported. */
export function parseFormat(format: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < format.length) {
    const next = format.indexOf('%', at);
    const end = next === -1 ? format.length : next;
    if (end > at) pieces.push({ type: 'text', text: format.slice(at, end) });
    if (next === -1) break;
    DIRECTIVE.lastIndex = next;
    const match = DIRECTIVE.exec(format);
    const piece = match && toPiece(match);
    if (!match || !piece) throw unsupported(format, next);
    pieces.push(piece);
    at = next + match[0].length;
  }
  return pieces;
}

function toPiece([text, flag, width, verb]: RegExpExecArray): Piece | undefined {
  if (text === '%%') return { type: 'text', text: '%' };
  if (flag !== '' && width === undefined) return undefined;
  if (flag === '0' && verb !== 'd') return undefined;
  const pad = flag === '-' ? 'right' : flag === '0' ? 'zero' : 'left';
  return { type: 'verb', verb: verb as 's' | 'v' | 'd', width: Number(width ?? 0), pad };
}

function unsupported(format: string, at: number): RangeError {
  const directive = format.slice(at, at + 6);
  return new RangeError(`sprintf does not support "${directive}…" here; use ${SUPPORTED_VERBS}`);
}

/** An argument as OPA hands it to Go: integers, floats, strings; everything else as the text of its term. */
type Argument =
  | { readonly kind: 'int64' | 'float64' | 'string'; readonly text: string }
  /** Beyond 64 bits: *big.Int. */
  | { readonly kind: '*big.Int'; readonly text: string };

/** The formatted text. Throws RangeError for a format or a number that is not supported. */
export function formatTerms(format: string, args: readonly Term[]): string {
  const values = args.map(toArgument);
  let used = 0;
  let text = '';
  for (const piece of parseFormat(format)) {
    if (piece.type === 'text') {
      text += piece.text;
      continue;
    }
    const value = values[used];
    used += 1;
    text += value ? formatVerb(piece, value) : `%!${piece.verb}(MISSING)`;
  }
  if (used >= values.length) return text;
  const extra = values.slice(used).map(({ kind, text: shown }) => `${kind}=${shown}`);
  return `${text}%!(EXTRA ${extra.join(', ')})`;
}

function formatVerb({ verb, width, pad }: Extract<Piece, { type: 'verb' }>, value: Argument): string {
  const isInteger = value.kind === 'int64' || value.kind === '*big.Int';
  const fits = verb === 'v' || (verb === 's' ? value.kind === 'string' : isInteger);
  if (!fits) {
    if (width > 0) throw new RangeError(`sprintf: %${verb} with a width is given a ${value.kind}`);
    return `%!${verb}(${value.kind}=${value.text})`;
  }
  return padTo(value.text, width, pad);
}

function padTo(text: string, width: number, pad: 'left' | 'right' | 'zero'): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (pad === 'right') return text + ' '.repeat(missing);
  if (pad === 'left') return ' '.repeat(missing) + text;
  return text.startsWith('-') ? `-${'0'.repeat(missing)}${text.slice(1)}` : '0'.repeat(missing) + text;
}

const MAX_INT = 9223372036854775807n;

function toArgument(term: Term): Argument {
  if (term.type === 'string') return { kind: 'string', text: term.value };
  if (term.type !== 'number') return { kind: 'string', text: toTermText(term) };
  const whole = /^(-?\d+)(?:\.0+)?$/.exec(term.text)?.[1];
  if (whole === undefined) return { kind: 'float64', text: toGoFloat(Number(term.text)) };
  const integer = BigInt(whole);
  const isWide = integer > MAX_INT || integer < -MAX_INT - 1n;
  return { kind: isWide ? '*big.Int' : 'int64', text: integer.toString() };
}

/** Go's %v of a float64 that is no integer: shortest digits, exponent form below 1e-4 and from 1e6. */
function toGoFloat(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('sprintf: a number is too large');
  if (Object.is(value, -0)) return '-0';
  const [digits, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 6)) {
    const sign = exponent < 0 ? '-' : '+';
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return exponent >= -6 ? String(value) : value.toFixed(20);
}
