/** docs/quickstart.md is followed word by word: each command runs, and prints what the text promises. */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../support/ports.ts';
import { until } from '../support/processes.ts';
import { preludeOf, toSteps, type Ports, type Step } from './steps.ts';
import { ROOT } from './texts.ts';

const [sts = 0, listen = 0, target = 0] = await freePorts(3);
const PORTS: Ports = [
  [/\b7400\b/g, `${sts}`],
  [/\b7401\b/g, `${sts + 1}`],
  [/\b8080\b/g, `${listen}`],
  [/\b9000\b/g, `${target}`],
];
const PRELUDE = preludeOf(sts);

const steps = toSteps('docs/quickstart.md', PORTS);
const stepWith = (words: string): Step => {
  const [only, ...others] = steps.filter(({ command }) => command.includes(words));
  if (!only || others.length > 0) throw new Error(`the quickstart has not one step with ${words}`);
  return only;
};

const groups: ChildProcess[] = [];
let folder = '';
process.once('exit', () => groups.forEach(end));

function end({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

/** Whether any process of the group is left. */
function isRunning({ pid }: ChildProcess): boolean {
  try {
    return process.kill(-pid!, 0);
  } catch {
    return false;
  }
}

function run(command: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('bash', ['-c', `${PRELUDE}${command}`], { cwd: folder }, (_error, out, err) => resolve(`${out}${err}`));
  });
}

/** Starts what is left running; resolves when `isReady` says so of its output. */
async function serve({ command }: Step, isReady: (output: string) => boolean | Promise<boolean>): Promise<string> {
  const child = spawn('bash', ['-c', `${PRELUDE}${command}`], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  groups.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`ended: ${command}\n${output}`);
      return isReady(output);
    },
    () => `not ready: ${command}\n${output}`,
  );
  return output;
}

const answers = (port: number) => async () => {
  try {
    await (await fetch(`http://127.0.0.1:${port}/orders`)).text();
    return true;
  } catch {
    return false;
  }
};

const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe.skipIf(!hasCurl)('the quickstart', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'caracal-quickstart-'));
    await cp(join(ROOT, 'examples'), join(folder, 'examples'), { recursive: true });
  });
  afterAll(async () => {
    groups.forEach(end);
    // The shell ends before what it started, which still writes its folder.
    await until(
      async () => !groups.some(isRunning),
      () => 'what the quickstart started does not end',
    );
    await rm(folder, { recursive: true, force: true });
  });

  const expectPromised = (output: string, { promised }: Step) =>
    expect(promised.filter((line) => !output.includes(line.trim()))).toEqual([]);

  it('serves the manifests and prints what it serves', async () => {
    const step = stepWith('caracal up');
    expectPromised(await serve(step, (output) => output.includes('Watching for changes')), step);
  });

  it('exchanges the agent’s token for a mandate, by curl and by caracal token', async () => {
    expect(await run(stepWith('> agent-token').command)).toBe('');
    expect(JSON.parse(await run(stepWith('oauth/2/token').command))).toMatchObject({
      expires_in: 300,
      scope: 'orders:read',
    });
    expect(await run(stepWith('--decode').command)).toContain('"sub": "quickstart.assistant"');
  });

  it.each(['orders:refund', 'orders:write'])('is refused the scope %s, as the text says', async (scope) => {
    const step = steps.find(({ command }) => command.startsWith('caracal token') && command.endsWith(scope))!;
    expect(step.promised).not.toEqual([]);
    expectPromised(await run(step.command), step);
  });

  it('protects a service: nothing without a mandate, and with one exactly what it carries', async () => {
    await serve(stepWith('createServer'), answers(target));
    await serve(stepWith('caracal gateway'), answers(listen));
    const step = stepWith('mandate=$(');
    await until(
      async () => !(await run(`curl -s http://127.0.0.1:${listen}/orders`)).includes('sts_unavailable'),
      () => 'the gateway does not become fresh',
    );
    expectPromised(await run(step.command), step);
  });

  it('refuses the mandate when its Grant is gone, also when it is back; a new one works', async () => {
    const step = stepWith('mandate=$(').command.split('\n').slice(1, -1);
    const call = step.at(-1)!;
    const mandate = (await run(`${step.slice(0, -1).join('\n')}\necho "$mandate"`)).trim();
    const answer = () => run(`mandate=${mandate}\n${call}`);
    expect(await answer()).toContain('GET /orders for quickstart.assistant');
    const grants = join(folder, 'examples/quickstart/grants.yaml');
    const before = await readFile(grants, 'utf8');
    const [removed, kept] = before.split('---\n');
    expect(removed).toContain('name: assistant-orders');
    await writeFile(grants, kept!);
    await until(
      async () => (await answer()).includes('the mandate is no longer in force'),
      () => 'the mandate stays in force',
    );
    await writeFile(grants, before);
    await until(
      async () => (await run(step.join('\n'))).includes('GET /orders for quickstart.assistant'),
      () => 'no new mandate works',
    );
    expect(await answer()).toContain('the mandate is no longer in force');
  });

  it('explains the denial by rule, file and line', async () => {
    const output = await run(stepWith('caracal explain').command);
    expect(output).toContain('examples/quickstart/policies.yaml:');
    expect(output).toContain('denied, PolicyDenied');
  });
});
