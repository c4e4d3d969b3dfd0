/** Operations of a Resource: which two of one method no request could be told apart for. */
import type { Operation } from '../authority/snapshot.ts';

type Segment = { readonly rank: 0 | 1 | 2 | 3; readonly text: string };

/** Rank: end of the path or a literal 2–3 beat `{name}` 1 beats a last `**` 0. */
function toSegments(path: string): readonly Segment[] {
  const segments = path
    .split('/')
    .slice(1)
    .map((text): Segment => {
      if (text === '**') return { rank: 0, text };
      return /^\{.*\}$/.test(text) ? { rank: 1, text: '{}' } : { rank: 2, text };
    });
  return segments.at(-1)?.rank === 0 ? segments : [...segments, { rank: 3, text: '' }];
}

/** The first pair of indices where a method is shared, some path matches both and neither is more specific. */
export function findAmbiguous(operations: readonly Operation[]): readonly [number, number] | undefined {
  const parsed = operations.map(({ methods, path }) => ({ methods: new Set(methods), segments: toSegments(path) }));
  for (const [later, b] of parsed.entries()) {
    for (let earlier = 0; earlier < later; earlier += 1) {
      const a = parsed[earlier]!;
      if (!a.methods.isDisjointFrom(b.methods) && isAmbiguous(a.segments, b.segments)) return [earlier, later];
    }
  }
  return undefined;
}

/** Compared segment by segment up to the shorter: `/**` stands for any rest, also none. */
function isAmbiguous(a: readonly Segment[], b: readonly Segment[]): boolean {
  let aWins = false;
  let bWins = false;
  for (let index = 0; ; index += 1) {
    const [x, y] = [a[index], b[index]];
    if (!x || !y) return aWins === bWins;
    if (x.rank === 0 || y.rank === 0) {
      aWins ||= x.rank > y.rank;
      bWins ||= y.rank > x.rank;
      return aWins === bWins;
    }
    if (!overlaps(x, y)) return false;
    aWins ||= x.rank > y.rank;
    bWins ||= y.rank > x.rank;
  }
}

function overlaps(x: Segment, y: Segment): boolean {
  if (x.rank === 3 || y.rank === 3) return x.rank === y.rank;
  return x.rank === 1 || y.rank === 1 || x.text === y.text;
}
