/** Aligned columns for people. */

import { toPrintable } from './printable.ts';

/** Rows of cells as lines, each column as wide as its widest cell; no trailing spaces. */
export function toTable(texts: readonly (readonly string[])[]): string {
  const rows = texts.map((row) => row.map(toPrintable));
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join('');
}
