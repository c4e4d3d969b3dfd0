/** JSON with exactly one reading: no member twice, bounded depth, well-formed text, finite numbers. */

export type StrictJSON =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Total. `maxDepth`: how many objects and arrays may be nested. */
export function parseStrictJSON(text: string, maxDepth: number): StrictJSON {
  const problem = findAmbiguity(text, maxDepth);
  if (problem !== undefined) return { ok: false, problem };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, problem: 'is not JSON' };
  }
}

/**
 * What JSON.parse would let pass though others may read it differently. It needs to be right about valid JSON only:
 * JSON.parse refuses the rest.
 */
function findAmbiguity(text: string, maxDepth: number): string | undefined {
  const members: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x7b: // {
      case 0x5b: // [
        expectsKey = text[index] === '{';
        if (members.push(expectsKey ? new Set() : undefined) > maxDepth) return `is nested deeper than ${maxDepth}`;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        members.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        expectsKey = members.at(-1) !== undefined;
        break;
      case 0x22: {
        const end = endOfString(text, index);
        const problem = checkString(text.slice(index, end + 1), expectsKey ? members.at(-1) : undefined);
        if (problem !== undefined) return problem;
        expectsKey = false;
        index = end;
        break;
      }
      default: {
        const end = endOfNumber(text, index);
        if (end === undefined) return 'holds a number out of range';
        index = end;
      }
    }
  }
  return undefined;
}

/** Index of the closing quote, or of the last character. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x5c) index++;
    else if (code === 0x22) return index;
  }
  return text.length - 1;
}

function checkString(literal: string, keys: Set<string> | undefined): string | undefined {
  const text = literal.includes('\\') ? unescape(literal) : literal.slice(1, -1);
  if (text === undefined) return 'is not JSON';
  if (!text.isWellFormed()) return 'holds a lone surrogate';
  if (!keys) return undefined;
  if (keys.has(text)) return 'has a member twice';
  if (text === '__proto__') return 'has a member named __proto__';
  keys.add(text);
  return undefined;
}

function unescape(literal: string): string | undefined {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return undefined;
  }
}

/** Index of the number's last character, `start` where none begins, undefined where it is not finite. */
function endOfNumber(text: string, start: number): number | undefined {
  const code = text.charCodeAt(start);
  if (code !== 0x2d && (code < 0x30 || code > 0x39)) return start;
  NUMBER.lastIndex = start;
  const match = NUMBER.exec(text);
  if (!match) return start;
  return Number.isFinite(Number(match[0])) ? start + match[0].length - 1 : undefined;
}
