/** Lists a page at a time: by id, which for a UUIDv7 is the order of creation. */
import { OAuthError } from '../errors.ts';

const MAX_LIMIT = 500;
const DEFAULT_LIMIT = 100;

/** Throws OAuthError. `next_cursor` is null on the last page. */
export function toPage<T extends { readonly id: string; readonly status: string }, A>(
  all: readonly T[],
  query: unknown,
  show: (one: T) => A,
): { readonly items: readonly A[]; readonly next_cursor: string | null } {
  const { limit, cursor, status } = parseQuery(query);
  const rest = all
    .filter((one) => (status === undefined || one.status === status) && (cursor === undefined || one.id > cursor))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const items = rest.slice(0, limit);
  return { items: items.map(show), next_cursor: rest.length > limit ? items.at(-1)!.id : null };
}

function parseQuery(query: unknown) {
  const { limit, cursor, status, ...unknown } = query as Readonly<Record<string, unknown>>;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new OAuthError('invalid_request', 'the query takes limit, cursor and status only');
  for (const value of [limit, cursor, status])
    if (value !== undefined && typeof value !== 'string')
      throw new OAuthError('invalid_request', 'limit, cursor and status may each be given once');
  if (limit !== undefined && !/^[1-9][0-9]{0,2}$/.test(limit as string))
    throw new OAuthError('invalid_request', `limit must be 1 to ${MAX_LIMIT}`);
  return {
    limit: Math.min(Number(limit ?? DEFAULT_LIMIT), MAX_LIMIT),
    cursor: cursor as string | undefined,
    status: status as string | undefined,
  };
}
