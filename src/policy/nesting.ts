/** How deep Rego text nests, found before opa reads it: its tree of deep text is as large as the square of the depth. */

/** Deeper than anybody writes, and quick to parse. */
export const MAX_NESTING = 100;

/** What is skipped: strings, raw strings and comments. A piece that does not end is skipped to the end of its line or text. */
const TOKEN = /"(?:[^"\\\n]|\\.)*"?|`[^`]*`?|#[^\n]*|[[({]|[\])}]|\n/g;

/** The line (from 1) where brackets nest deeper than MAX_NESTING, or undefined. */
export function findDeepLine(rego: string): number | undefined {
  let line = 1;
  let depth = 0;
  for (const [token] of rego.matchAll(TOKEN)) {
    if (token === '\n') line += 1;
    else if (token.startsWith('`')) line += token.split('\n').length - 1;
    else if ('[({'.includes(token)) depth += 1;
    else if ('])}'.includes(token)) depth -= 1;
    if (depth > MAX_NESTING) return line;
  }
  return undefined;
}
