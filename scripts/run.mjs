/** Every `npm run …` of this project: sets up what the command needs, saying so, then runs it on the pinned Node. */
import { join } from 'node:path';
import { ROOT, ensureInstalled, pinnedNode, runToTheEnd, say } from './setup.mjs';
import { ensureControlPlane, ensureOPA, ensurePostgres } from './tools.mjs';

const TYPESCRIPT = ['--disable-warning=ExperimentalWarning'];

/** What each command needs besides packages, and what it then runs. */
const COMMANDS = {
  caracal: { run: (args) => [...TYPESCRIPT, join(ROOT, 'src/main.ts'), ...args] },
  demo: {
    controlPlane: (args) => args.includes('--kubernetes'),
    gateway: true,
    run: (args) => [...TYPESCRIPT, join(ROOT, 'scripts/demo/demo.ts'), ...args],
  },
  test: {
    controlPlane: () => true,
    postgres: true,
    gateway: true,
    run: (args) => [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', ROOT, ...args],
  },
  faults: {
    postgres: true,
    env: { CARACAL_FAULTS: 'full' },
    run: (args) => [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', ROOT, ...onlyFaults(args)],
  },
  bench: {
    controlPlane: (args) => args.length === 0 || args.includes('apply'),
    gateway: true,
    run: (args) => [...TYPESCRIPT, join(ROOT, 'test/bench/bench.ts'), ...args],
  },
  generate: { run: (args) => [...TYPESCRIPT, join(ROOT, 'scripts/generate.ts'), ...args] },
  verify: { gateway: true, run: (args) => [...TYPESCRIPT, join(ROOT, 'scripts/verify.ts'), ...args] },
};

/** All of them, unless some are named. */
function onlyFaults(args) {
  return args.some((arg) => !arg.startsWith('-')) ? args : ['test/faults', ...args];
}

async function main([name, ...args]) {
  const command = COMMANDS[name];
  if (!command) throw new Error(`unknown command ${name}; one of ${Object.keys(COMMANDS).join(', ')}`);
  ensureInstalled();
  const env = { ...command.env, CARACAL_OPA: await ensureOPA() };
  if (command.controlPlane?.(args)) env.KUBEBUILDER_ASSETS = ensureControlPlane();
  if (command.postgres) env.CARACAL_POSTGRES = ensurePostgres();
  const node = pinnedNode();
  if (command.gateway) {
    const status = await runToTheEnd(node, [join(ROOT, 'scripts/bundle.mjs')]);
    if (status !== 0) throw new Error('bundling the gateway failed');
  }
  return runToTheEnd(node, command.run(args), env);
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error) => {
    say(error.message);
    process.exit(1);
  },
);
