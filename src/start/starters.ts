/** Every role's starter; each loads its own code only when it starts. */
import type { Starters } from '../cli/starters.ts';

export const starters: Starters = {
  sts: async (start, runtime) => (await import('./sts.ts')).startSTS(start, runtime),
  controller: async (start, runtime) => (await import('./controller.ts')).startController(start, runtime),
  front: async (start, runtime) => (await import('./front.ts')).startFront(start, runtime),
  gateway: async (args, runtime) => (await import('./gateway.ts')).startGateway(args, runtime),
  up: async (start, runtime) => (await import('./up.ts')).startUp(start, runtime),
};
