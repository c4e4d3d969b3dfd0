/** Every folder of examples is good as it stands: check accepts it, its policies test themselves, and it decides as its comments say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ROOT, run } from '../cli/run.ts';

const FOLDER = join(ROOT, 'examples');
const folders = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

interface Checked {
  readonly kind: string;
  readonly name: string;
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly tests?: readonly unknown[]; readonly policies?: readonly { readonly name: string }[] };
}

const manifests = (folder: string): readonly Manifest[] =>
  readdirSync(join(FOLDER, folder))
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => parseAllDocuments(readFileSync(join(FOLDER, folder, file), 'utf8')))
    .map((document) => document.toJS() as Manifest)
    .filter(({ apiVersion }) => apiVersion.startsWith('caracal.run/'));

describe.each(folders)('examples/%s', (folder) => {
  it('is accepted by check, every object of it', async () => {
    const { exit, out } = await run(['check', '--output', 'json', join(FOLDER, folder)]);
    const { objects } = JSON.parse(out) as { objects: readonly Checked[] };
    const isTrue = ({ conditions }: Checked, type: string) =>
      conditions.find((condition) => condition.type === type)?.status === 'True';
    expect(objects.filter((object) => !isTrue(object, 'Accepted') || !isTrue(object, 'Ready'))).toEqual([]);
    expect(objects).toHaveLength(manifests(folder).length);
    expect(exit).toBe(0);
  });

  it('has no policy without a test, and none that no set names', () => {
    const objects = manifests(folder);
    const policies = objects.filter(({ kind }) => kind === 'Policy');
    const listed = objects.flatMap(({ spec }) => spec.policies?.map(({ name }) => name) ?? []);
    expect(policies.filter(({ spec }) => (spec.tests ?? []).length === 0)).toEqual([]);
    expect(policies.map(({ metadata }) => metadata.name).filter((name) => !listed.includes(name))).toEqual([]);
  });

  it('is in the index of examples', () => {
    expect(readFileSync(join(FOLDER, 'README.md'), 'utf8')).toContain(`[${folder}](${folder})`);
  });
});

interface Question {
  readonly folder: string;
  readonly ask: string;
  readonly answer: string;
}

const questions: Readonly<Record<string, Question>> = {
  'platform: the reconciler reads on its own, for two minutes as the Resource says': {
    folder: 'platform',
    ask: '--application agents.reconciler --resource resource://ledger.payments --scope ledger:read',
    answer: 'permitted for 120 s by payments/reconciler-reads',
  },
  'platform: it does not post on its own': {
    folder: 'platform',
    ask: '--application agents.reconciler --resource resource://ledger.payments --scope ledger:post',
    answer: 'denied, ScopeNotGranted:',
  },
  'platform: for finance it posts only after a second factor': {
    folder: 'platform',
    ask: '--application agents.reconciler --resource resource://ledger.payments --scope ledger:post --user corp:ada --group finance',
    answer: 'denied, PolicyDenied:',
  },
  'ci: the workflow deploys on Tuesday, for a minute': {
    folder: 'ci',
    ask: '--application delivery.shop-release --resource resource://deployments --scope deploy:start --now 2026-11-24T12:00:00Z',
    answer: 'permitted for 60 s by delivery/shop-release-deploys',
  },
  'ci: it does not on Friday evening': {
    folder: 'ci',
    ask: '--application delivery.shop-release --resource resource://deployments --scope deploy:start --now 2026-11-27T18:00:00Z',
    answer: 'denied, PolicyDenied:',
  },
  'ci: it never deletes an environment': {
    folder: 'ci',
    ask: '--application delivery.shop-release --resource resource://deployments --scope deploy:delete --now 2026-11-24T12:00:00Z',
    answer: 'denied, ScopeNotGranted:',
  },
  'agents: the orchestrator reads invoices for a clerk': {
    folder: 'agents',
    ask: '--application accounts.orchestrator --resource resource://payments --scope invoices:read --user corp:carol --group accounting',
    answer: 'permitted for 300 s by accounts/clerks',
  },
  'agents: it does not pay itself, though it is granted': {
    folder: 'agents',
    ask: '--application accounts.orchestrator --resource resource://payments --scope payments:send --user corp:carol --group accounting',
    answer: 'denied, PolicyDenied:',
  },
  'agents: the runner may nothing on its own': {
    folder: 'agents',
    ask: '--application accounts.runner --resource resource://payments --scope payments:send',
    answer: 'denied, ScopeNotGranted:',
  },
  'edge: the planner reads forecasts': {
    folder: 'edge',
    ask: '--application tools.planner --resource resource://weather --scope forecast:read',
    answer: 'permitted for 300 s by tools/planner-reads-forecasts',
  },
};

describe('what the examples decide', () => {
  it.each(Object.entries(questions))('%s', async (_name, { folder, ask, answer }) => {
    const { out, err } = await run(['explain', join(FOLDER, folder), ...ask.split(' ')]);
    expect(err).toBe('');
    expect(out.trimEnd().split('\n').at(-1)).toContain(answer);
  });
});
