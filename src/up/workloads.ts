/** A ServiceAccount issuer of our own: pod-bound tokens of the cluster's exact form, for workloads that live in the data folder. */
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { PublicJWK } from '../authority/snapshot.ts';
import type { Workload, WorkloadDirectory } from '../sts/ports.ts';
import { createLRU } from '../tokens/lru.ts';
import { createExclusively, prepareDataFolder, readText } from './dataFolder.ts';
import { newUUID, toUUIDv4 } from './objectStore.ts';

/** What the issuer signs with and derives UIDs from; made once per data folder. */
export interface WorkloadIssuer {
  readonly issuer: string;
  /** ES256 private JWK. */
  readonly key: {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
    readonly d: string;
  };
  readonly kid: string;
  /** base64url, 32 bytes: UIDs of ServiceAccounts and pods are derived from it, so that every process agrees. */
  readonly seed: string;
}

/** `.internal` is reserved for private use, so the name can never be someone's. */
export const WORKLOAD_ISSUER = 'https://serviceaccounts.caracal.internal';

const issuerFile = z.object({
  issuer: z.string(),
  kid: z.string(),
  seed: z.string().min(43),
  key: z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string(), d: z.string() }),
});

/** The data folder's issuer, made on first use; whichever process comes first wins. */
export async function openWorkloadIssuer(data: string, randomBytes: RandomBytes): Promise<WorkloadIssuer> {
  const path = join(data, 'workloads.json');
  const existing = await readText(path);
  if (existing !== undefined) return parseIssuer(existing, path);
  await prepareDataFolder(data);
  const made = generateIssuer(randomBytes);
  if (await createExclusively(path, `${JSON.stringify(made)}\n`)) return made;
  return parseIssuer((await readText(path)) ?? '', path);
}

function parseIssuer(text: string, path: string): WorkloadIssuer {
  try {
    return issuerFile.parse(JSON.parse(text));
  } catch {
    throw new Error(`${path} cannot be used: restore it, or delete it to have a new issuer made`);
  }
}

function generateIssuer(randomBytes: RandomBytes): WorkloadIssuer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y, d } = privateKey.export({ format: 'jwk' });
  return {
    issuer: WORKLOAD_ISSUER,
    kid: Buffer.from(randomBytes(16)).toString('base64url'),
    seed: Buffer.from(randomBytes(32)).toString('base64url'),
    key: { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d! },
  };
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
  /** Default: `<serviceAccount>-0`. */
  readonly pod?: string;
  /** Default 3600. */
  readonly ttlSeconds?: number;
}

/** A token as the kubelet would project it (TokenRequest, bound to a pod). */
export function issueServiceAccountToken(
  issuer: WorkloadIssuer,
  { namespace, serviceAccount, audience, pod = `${serviceAccount}-0`, ttlSeconds = 3600 }: TokenRequest,
  { clock, randomBytes }: { readonly clock: Pick<Clock, 'now'>; readonly randomBytes: RandomBytes },
): string {
  const workload = toWorkload(issuer, { namespace, serviceAccount, pod });
  const now = Math.floor(clock.now() / 1000);
  const claims = {
    aud: [audience],
    exp: now + ttlSeconds,
    iat: now,
    iss: issuer.issuer,
    jti: newUUID(randomBytes),
    'kubernetes.io': {
      namespace,
      node: { name: 'caracal-up', uid: deriveUID(issuer, 'node', 'caracal-up') },
      pod: { name: pod, uid: workload.podUID },
      serviceaccount: { name: serviceAccount, uid: workload.serviceAccountUID },
    },
    nbf: now,
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
  };
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ alg: 'ES256', kid: issuer.kid })}.${encode(claims)}`;
  const key = createPrivateKey({ key: { ...issuer.key }, format: 'jwk' });
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** What was derived stays true: the seed is the folder's for good. */
const MAX_KNOWN = 1024;

/** Alive is whatever this data folder's seed gives: no pod list is kept, so no call to a running `up` is needed. */
export function createWorkloadDirectory(issuer: WorkloadIssuer): WorkloadDirectory {
  const { kty, crv, x, y } = issuer.key;
  const keys: readonly PublicJWK[] = [{ kty, crv, x, y, kid: issuer.kid, alg: 'ES256', use: 'sig' }];
  const known = createLRU<Workload>(MAX_KNOWN);
  const derive = (workload: Workload): Workload => {
    const key = JSON.stringify([workload.namespace, workload.serviceAccount, workload.pod]);
    let real = known.get(key);
    if (!real) known.set(key, (real = toWorkload(issuer, workload)));
    return real;
  };
  return {
    issuer: () => issuer.issuer,
    keys: () => keys,
    alive(workload) {
      const real = derive(workload);
      const same = real.podUID === workload.podUID && real.serviceAccountUID === workload.serviceAccountUID;
      return same ? 'alive' : 'gone';
    },
  };
}

function toWorkload(
  issuer: WorkloadIssuer,
  { namespace, serviceAccount, pod }: Pick<Workload, 'namespace' | 'serviceAccount' | 'pod'>,
): Workload {
  return {
    namespace,
    serviceAccount,
    pod,
    serviceAccountUID: deriveUID(issuer, 'serviceaccount', namespace, serviceAccount),
    podUID: deriveUID(issuer, 'pod', namespace, serviceAccount, pod),
  };
}

function deriveUID({ seed }: WorkloadIssuer, ...parts: readonly string[]): string {
  return toUUIDv4(createHmac('sha256', Buffer.from(seed, 'base64url')).update(JSON.stringify(parts)).digest());
}
