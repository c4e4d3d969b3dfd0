/** Bundles the sidecar: src/gateway/main.ts with all it needs in one file, dist/gateway.mjs. */
import { build } from 'esbuild';
import { join } from 'node:path';
import { ROOT } from './setup.mjs';

await build({
  entryPoints: [join(ROOT, 'src/gateway/main.ts')],
  outfile: join(ROOT, 'dist/gateway.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node26',
  // Packages of CommonJS that are bundled ask for node's own modules by require.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
  logLevel: 'error',
});
