/** Finds or builds the pinned tools that no npm package ships: opa, and for tests a real etcd, kube-apiserver, kubectl and PostgreSQL. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT, say } from './setup.mjs';

const cacheRoot = () =>
  process.env.CARACAL_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'caracal');

/** The version that a go.mod of ours requires of a module; the one place where a tool's version is written. */
export function pinnedVersion(goMod, module) {
  const line = readFileSync(join(ROOT, goMod), 'utf8')
    .split('\n')
    .find((text) => text.includes(`${module} v`) && !text.includes('=>'));
  if (!line) throw new Error(`${goMod} requires no version of ${module}`);
  return line.split(`${module} v`)[1].split(/\s/)[0];
}

export const opaVersion = () => pinnedVersion('tools/opa/go.mod', 'github.com/open-policy-agent/opa');
export const kubernetesVersion = () => pinnedVersion('tools/kube/go.mod', 'k8s.io/kubernetes');

function onPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function isOPA(path, version) {
  const result = spawnSync(path, ['version'], { encoding: 'utf8' });
  return result.status === 0 && result.stdout.includes(`Version: ${version}\n`);
}

function hasGo() {
  return spawnSync('go', ['version']).status === 0;
}

/** Builds one main package of a module of ours into `target`, whole or not at all. */
function goBuild({ module, package: main, target, ldflags }) {
  execFileSync('go', ['build', '-trimpath', '-ldflags', ldflags, '-o', `${target}.new`, main], {
    cwd: join(ROOT, module),
    stdio: ['ignore', 2, 2],
    env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOWORK: 'off' },
  });
  renameSync(`${target}.new`, target);
}

/** Path of the pinned opa: on PATH in that version, the cache, built with Go, or a release download. */
export async function ensureOPA() {
  const version = opaVersion();
  const given = process.env.CARACAL_OPA ?? onPath('opa');
  if (given && isOPA(given, version)) return given;
  const folder = join(cacheRoot(), 'opa', version);
  const target = join(folder, 'opa');
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  if (hasGo()) {
    say(`building opa ${version} with Go (once; a minute or two)`);
    goBuild({ module: 'tools/opa', package: 'github.com/open-policy-agent/opa', target, ldflags: '-s -w' });
    return target;
  }
  await downloadOPA(version, target);
  return target;
}

const OPA_ASSETS = {
  'linux-x64': 'opa_linux_amd64_static',
  'linux-arm64': 'opa_linux_arm64_static',
  'darwin-x64': 'opa_darwin_amd64',
  'darwin-arm64': 'opa_darwin_arm64_static',
};

/** The project's own release, checked against the SHA-256 published beside it. */
async function downloadOPA(version, target) {
  const asset = OPA_ASSETS[`${process.platform}-${process.arch}`];
  const hint = `install Go 1.26 or later, or put opa ${version} on PATH`;
  if (!asset) throw new Error(`no opa release for ${process.platform}-${process.arch}: ${hint}`);
  const url = `https://github.com/open-policy-agent/opa/releases/download/v${version}/${asset}`;
  say(`downloading opa ${version}`);
  try {
    const [binary, published] = await Promise.all([download(url), download(`${url}.sha256`)]);
    const expected = published.toString('utf8').trim().split(/\s+/)[0];
    const actual = createHash('sha256').update(binary).digest('hex');
    if (expected !== actual) throw new Error(`its SHA-256 is ${actual}, published is ${expected}`);
    writeFileSync(`${target}.new`, binary);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
  } catch (error) {
    throw new Error(`cannot get opa ${version} (${error.message}): ${hint}`, { cause: error });
  }
}

async function download(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

const CONTROL_PLANE = [
  { name: 'etcd', package: 'go.etcd.io/etcd/server/v3', seconds: 60 },
  { name: 'kube-apiserver', package: 'k8s.io/kubernetes/cmd/kube-apiserver', seconds: 260 },
  { name: 'kubectl', package: 'k8s.io/kubernetes/cmd/kubectl', seconds: 30 },
];

/** Folder with etcd, kube-apiserver and kubectl: KUBEBUILDER_ASSETS, the cache, or built with Go. */
export function ensureControlPlane() {
  const complete = (folder) => CONTROL_PLANE.every(({ name }) => existsSync(join(folder, name)));
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets && complete(assets)) return assets;
  const version = kubernetesVersion();
  const folder = join(cacheRoot(), 'kube', version);
  if (complete(folder)) return folder;
  if (!hasGo()) throw new Error('a real control plane needs Go 1.26 or later to build it, or KUBEBUILDER_ASSETS');
  mkdirSync(folder, { recursive: true });
  const [major, minor] = version.split('.');
  const variable = (name, value) => `-X k8s.io/component-base/version.${name}=${value}`;
  const ldflags = [
    '-s -w',
    variable('gitVersion', `v${version}`),
    variable('gitMajor', major),
    variable('gitMinor', minor),
  ];
  for (const { name, package: main, seconds } of CONTROL_PLANE) {
    const target = join(folder, name);
    if (existsSync(target)) continue;
    say(`building ${name} ${version} with Go (once; about ${seconds} s on two cores)`);
    goBuild({ module: 'tools/kube', package: main, target, ldflags: ldflags.join(' ') });
  }
  return folder;
}

const DEBIAN_POSTGRES = '/usr/lib/postgresql';

/** The folder with a real postgres and initdb, for tests; Debian keeps them off PATH. */
export function ensurePostgres() {
  const found = findPostgres();
  if (found) return found;
  const install = 'apt-get install -y postgresql';
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    throw new Error(
      `PostgreSQL is missing: run \`${install}\`, or name the folder of its programs in CARACAL_POSTGRES`,
    );
  }
  say('installing PostgreSQL with apt-get (once; a minute or so)');
  // The tests make their own clusters; Debian's, which would run for good, is not wanted.
  mkdirSync('/etc/postgresql-common', { recursive: true });
  if (!existsSync('/etc/postgresql-common/createcluster.conf')) {
    writeFileSync('/etc/postgresql-common/createcluster.conf', 'create_main_cluster = false\n');
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', ['-q', ...args], { stdio: ['ignore', 2, 2], env }).status === 0;
  const isInstalled = () => apt('install', '-y', '--no-install-recommends', 'postgresql');
  if (!isInstalled() && !(apt('update') && isInstalled()))
    throw new Error(`\`${install}\` failed; its output is above`);
  return findPostgres() ?? fail(`\`${install}\` left no postgres in ${DEBIAN_POSTGRES}`);
}

function findPostgres() {
  const versions = existsSync(DEBIAN_POSTGRES) ? readdirSync(DEBIAN_POSTGRES) : [];
  const folders = [
    process.env.CARACAL_POSTGRES,
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN_POSTGRES, version, 'bin')),
  ];
  const holds = (folder) => folder && ['postgres', 'initdb'].every((name) => existsSync(join(folder, name)));
  return folders.find(holds);
}

function fail(message) {
  throw new Error(message);
}
