/** Memory of what follows from a kind's definition alone. */
import type { KindDefinition } from './kind.ts';

export function perKind<R>(derive: (kind: KindDefinition) => R): (kind: KindDefinition) => R {
  const known = new Map<KindDefinition, R>();
  return (kind) => {
    const found = known.get(kind);
    if (found !== undefined) return found;
    const made = derive(kind);
    known.set(kind, made);
    return made;
  };
}
