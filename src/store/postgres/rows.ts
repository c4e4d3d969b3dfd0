/** Many rows in one statement, in their order. */
import type { Session } from './sessions.ts';

export type Value = string | number | null;

/** Column → type. */
export type Columns = Readonly<Record<string, 'text' | 'bigint'>>;

/** `suffix`: what follows the rows, such as ON CONFLICT. */
export async function insertAll(
  session: Session,
  table: string,
  columns: Columns,
  rows: readonly (readonly Value[])[],
  suffix = '',
): Promise<void> {
  if (rows.length === 0) return;
  const names = Object.keys(columns).join(', ');
  await session.query(
    `INSERT INTO ${table} (${names})
     SELECT ${names} FROM unnest(${toArrays(columns)}) WITH ORDINALITY AS given (${names}, ordinal) ORDER BY ordinal
     ${suffix}`,
    toColumns(columns, rows),
  );
}

/** The rows of `table` whose columns are those of one of the tuples. */
export async function selectAll(
  session: Session,
  table: string,
  columns: Columns,
  tuples: readonly (readonly Value[])[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  if (tuples.length === 0) return [];
  const names = Object.keys(columns).join(', ');
  const { rows } = await session.query(
    `SELECT ${table}.* FROM ${table} JOIN unnest(${toArrays(columns)}) AS given (${names}) USING (${names})`,
    toColumns(columns, tuples),
  );
  return rows as Readonly<Record<string, unknown>>[];
}

function toArrays(columns: Columns): string {
  return Object.values(columns)
    .map((type, index) => `$${index + 1}::${type}[]`)
    .join(', ');
}

function toColumns(columns: Columns, rows: readonly (readonly Value[])[]): Value[][] {
  return Object.keys(columns).map((_, index) => rows.map((row) => row[index]!));
}
