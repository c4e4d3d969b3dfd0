/** Constants that policies share: what a set reads of `data.caracal.data.` has to be in the set, or it is undefined. */
import type { PolicyModule } from '../authority/snapshot.ts';
import type { ModuleFacts } from './assemble.ts';

interface CheckedModule {
  readonly module: Pick<PolicyModule, 'name'>;
  readonly facts: ModuleFacts;
}

/**
 * The first reference that no module of the set defines, as a message with the fix. A deny list that nobody provides
 * would be undefined and deny nothing.
 */
export function findMissingConstant(checked: readonly CheckedModule[]): string | undefined {
  for (const { module, facts } of checked) {
    const missing = facts.constants.find(({ path }) => !checked.some(({ facts: other }) => provides(other, path)));
    if (!missing) continue;
    const what = `data.${missing.path.join('.')} is defined by no policy of the set`;
    return `policy ${module.name}: line ${missing.line}: ${what}; list the policy that defines it in spec.policies or correct the name`;
  }
  return undefined;
}

/** The package or what is around it, or one of the constants in it. */
function provides({ package: own, clauses }: ModuleFacts, path: readonly string[]): boolean {
  const shared = Math.min(own.length, path.length);
  if (!own.slice(0, shared).every((segment, index) => segment === path[index])) return false;
  return path.length <= own.length || clauses.some(({ name }) => name === path[own.length]);
}
