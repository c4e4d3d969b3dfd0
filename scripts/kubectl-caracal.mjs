#!/usr/bin/env node
/** The plugin `kubectl caracal`: the same command, which asks the cluster of the kubeconfig unless told otherwise. */
import { join } from 'node:path';
import { ROOT, runToTheEnd } from './setup.mjs';

const command = [join(ROOT, 'scripts/run.mjs'), 'caracal', ...process.argv.slice(2)];
process.exit(await runToTheEnd(process.execPath, command, { CARACAL_KUBECTL_PLUGIN: '1' }));
