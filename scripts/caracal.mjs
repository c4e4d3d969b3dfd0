#!/usr/bin/env node
/** The `caracal` command of a checkout: the same as `npm run caracal --`, from any folder. */
import { join } from 'node:path';
import { ROOT, runToTheEnd } from './setup.mjs';

process.exit(await runToTheEnd(process.execPath, [join(ROOT, 'scripts/run.mjs'), 'caracal', ...process.argv.slice(2)]));
