/** The guides to agent sessions, delegation and step-up are followed word by word: each command runs, and prints what the text promises. */
import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIdentityProvider, type IdentityProvider } from '../../scripts/demo/identityProvider.ts';
import { startCaracal, type RunningProcess } from '../../scripts/demo/processes.ts';
import { withIdentityProvider } from '../../scripts/demo/zone.ts';
import { freePorts } from '../support/ports.ts';
import { preludeOf, toSteps, type Step } from './steps.ts';
import { ROOT, read } from './texts.ts';

const [port = 0] = await freePorts(1);
const STS = `http://127.0.0.1:${port}`;
const ZONE = 'accounts.office';
const ports = [[/\b7400\b/g, `${port}`]] as const;
const followed = (guide: string): readonly Step[] => toSteps(`docs/guides/${guide}.md`, ports);
/** That of documents is `npm run`, in a clone; here it is the same program without npm. */
const isFollowed = ({ command }: Step) => !command.startsWith('caracal up');
const CARACAL = /^caracal\(\) .*$/m;

const users: IdentityProvider = await createIdentityProvider('https://login.example.com');
let folder = '';
let up: RunningProcess;

const shell = (script: string): Promise<string> =>
  new Promise((resolve) => {
    execFile('bash', ['-c', `${preludeOf(port)}${script}`], { cwd: folder }, (_error, out, err) =>
      resolve(`${out}${err}`),
    );
  });

/** All of them in one shell, since later ones use what earlier ones set; what each printed. */
async function follow(steps: readonly Step[], before = ''): Promise<readonly string[]> {
  const mark = '=== next step ===';
  const script = steps.map(({ command }) => `${command.replace(CARACAL, '')}\necho; echo '${mark}'`).join('\n');
  const printed = (await shell(`${before}\n${script}`)).split(mark);
  return printed.slice(0, steps.length);
}

function expectPromised(steps: readonly Step[], printed: readonly string[]): void {
  const missing = steps.flatMap(({ command, promised }, index) =>
    promised
      .filter((line) => !printed[index]!.includes(line))
      .map((line) => `${command}\n${printed[index]}\n  lacks ${line}`),
  );
  expect(missing).toEqual([]);
  expect(printed.filter((text) => /command not found|syntax error|SyntaxError|refused:/.test(text))).toEqual([]);
}

const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe.skipIf(!hasCurl)('the guide to', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'caracal-guides-'));
    await cp(join(ROOT, 'examples/agents'), join(folder, 'examples/agents'), { recursive: true });
    await withIdentityProvider(join(folder, 'examples/agents/zone.yaml'), users.publicKey);
    const data = join(folder, '.caracal');
    up = startCaracal(['up', '--manifests', join(folder, 'examples/agents'), '--data', data, '--port', `${port}`]);
    await up.line((line) => line.includes('Watching for changes'));
  });
  afterAll(async () => {
    await up.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('agent sessions', async () => {
    const steps = followed('agents').filter(isFollowed);
    const printed = await follow(steps);
    expectPromised(steps, printed);
    expect(printed.join('')).toContain('"status":"active"');
    expect(printed.join('')).toContain('"access_token"');
  });

  it('delegation', async () => {
    const steps = followed('delegation').filter(isFollowed);
    const printed = await follow(steps);
    expectPromised(steps, printed);
    expect(printed.join('')).toContain('"delegation_chain":[{"application_id":"accounts.orchestrator"');
  });

  it('step-up', async () => {
    const { variables, idToken, decisionID } = await holdPayment();
    const record = await shell(`caracal audit show ${decisionID}`);
    for (const words of ['resource://payments', 'payments:send-large', 'carol']) expect(record).toContain(words);
    await writeFile(join(folder, 'id-token'), idToken);
    const isOperators = ({ command }: Step) => command.includes('caracal approve');
    const steps = followed('step-up').filter((step) => !isOperators(step));
    const [waited, decided, retried] = await follow(
      steps.map((step) => ({ ...step, command: step.command.replace('wait=25', 'wait=0') })),
      variables,
    );
    expect(waited).toContain('"state":"pending"');
    expect(decided).toContain('"state":"approved"');
    expect(retried).toContain('"access_token"');

    const another = steps.at(-1)!.command.replace(' -d challenge_id=$challenge_id', ' -d ttl_seconds=90');
    const id = JSON.parse(await shell(`${variables}\n${another}`)) as Readonly<Record<string, string>>;
    const [operator = ''] = await follow(followed('step-up').filter(isOperators), `challenge_id=${id['challenge_id']}`);
    expect(operator).toContain('accounts.runner');
    const told = await shell('caracal challenges --all -o yaml');
    for (const words of ['resource://payments', 'payments:send-large', 'state: approved', 'carol', 'the rent'])
      expect(told.toLowerCase()).toContain(words);
  });
});

/** What the page takes as given: a chain that acts for Carol, with a payment that is held, and her login. */
async function holdPayment(): Promise<Readonly<Record<'variables' | 'idToken' | 'decisionID', string>>> {
  const carol = { sub: 'carol', groups: ['accounting'] };
  await writeFile(join(folder, 'carol'), await users.signIn(carol, 'accounts-desk'));
  const [start = ''] = read('docs/guides/delegation.md').match(/^field\(\)[\s\S]*?\n\n/m) ?? [];
  const edgeTo = ([from, source]: readonly string[], [to, target]: readonly string[], seconds: number, more = '') =>
    `post $${from} delegations "{\\"issuer_application_id\\": \\"accounts.${from}\\", \\"source_session_id\\": \\"$${source}\\", \\"receiver_application_id\\": \\"accounts.${to}\\", \\"target_session_id\\": \\"$${target}\\", \\"scopes\\": [\\"payments:send-large\\"], \\"ttl_seconds\\": ${seconds}${more}}" | field delegation_edge_id`;
  const script = `${start.replace(/\b7400\b/g, `${port}`)}
carol=$(caracal token --zone ${ZONE} --service-account accounts/orchestrator --subject-token-file carol --output token)
sid=$(node -p 'JSON.parse(Buffer.from(process.argv[1].split(".")[1], "base64url").toString()).sid' "$carol")
orchestrator=$(lifecycle orchestrator); worker=$(lifecycle worker); runner=$(lifecycle runner)
source=$(post $orchestrator agents "{\\"application_id\\":\\"accounts.orchestrator\\",\\"subject_session_id\\":\\"$sid\\",\\"subject_token\\":\\"$carol\\"}" | field agent_session_id)
middle=$(start $worker worker); session=$(start $runner runner)
first=$(${edgeTo(['orchestrator', 'source'], ['worker', 'middle'], 600, ', \\"constraints\\": {\\"max_hops\\": 2}')})
edge=$(${edgeTo(['worker', 'middle'], ['runner', 'session'], 500)})
assertion=$(caracal serviceaccount-token accounts/runner --audience ${STS}/zones/${ZONE})
curl -s ${STS}/oauth/2/token -d zone_id=${ZONE} -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
  --data-urlencode client_assertion="$assertion" -d resource=resource://payments -d scope=payments:send-large \\
  -d agent_session_id=$session -d delegation_edge_id=$edge > held
echo "session=$session"; echo "edge=$edge"; echo "assertion=$assertion"; cat held`;
  const output = await shell(script);
  const lines = output.trim().split('\n');
  const held = JSON.parse(lines.at(-1)!) as Readonly<Record<string, string>>;
  expect(held, output).toMatchObject({ error: 'interaction_required', approver: 'any' });
  const { challenge_id: id, binding, decision_id: decisionID } = held;
  const variables = [...lines.slice(0, -1), `challenge_id=${id}`, `binding=${binding}`].join('\n');
  const idToken = await users.signIn(carol, 'accounts-approvals', { nonce: binding! });
  return { variables, idToken, decisionID: decisionID! };
}
