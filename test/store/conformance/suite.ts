/** What every store does, whatever keeps its rows. */
import { describe } from 'vitest';
import { describeAuthority } from './authority.ts';
import { describeDecisions } from './decisions.ts';
import type { Engine } from './engine.ts';
import { describeHeads } from './heads.ts';
import { describeRuntime } from './runtime.ts';
import { describeSeals } from './seals.ts';

export function describeConformance(engine: Engine): void {
  describe(`${engine.name} as a store:`, () => {
    describeDecisions(engine);
    describeAuthority(engine);
    describeRuntime(engine);
    describeHeads(engine);
    describeSeals(engine);
  });
}
