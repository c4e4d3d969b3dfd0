/** The data folder's own ServiceAccount issuer: the cluster's token form, and who counts as alive. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorkloadDirectory, issueServiceAccountToken, openWorkloadIssuer } from '../../src/up/workloads.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const ports = { clock: { now: () => NOW }, randomBytes };
const request = { namespace: 'shop', serviceAccount: 'assistant', audience: 'https://sts/zones/shop.main' };

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'caracal-workloads-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const decode = (part: string | undefined) =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as Readonly<Record<string, unknown>>;

describe('a ServiceAccount token of the data folder', () => {
  it('has the form of a projected, pod-bound token of a cluster', async () => {
    const issuer = await openWorkloadIssuer(data, randomBytes);
    const [header, payload] = issueServiceAccountToken(issuer, request, ports).split('.');
    const uid = expect.stringMatching(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    ) as string;
    expect(decode(header)).toEqual({ alg: 'ES256', kid: issuer.kid });
    expect(decode(payload)).toEqual({
      aud: ['https://sts/zones/shop.main'],
      exp: NOW / 1000 + 3600,
      iat: NOW / 1000,
      nbf: NOW / 1000,
      iss: issuer.issuer,
      jti: uid,
      sub: 'system:serviceaccount:shop:assistant',
      'kubernetes.io': {
        namespace: 'shop',
        node: { name: 'caracal-up', uid },
        pod: { name: 'assistant-0', uid },
        serviceaccount: { name: 'assistant', uid },
      },
    });
  });

  it('is signed with the key that the directory publishes', async () => {
    const issuer = await openWorkloadIssuer(data, randomBytes);
    const [header, payload, signature] = issueServiceAccountToken(issuer, request, ports).split('.');
    const [key] = createWorkloadDirectory(issuer).keys();
    expect(Object.keys(key!).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    const valid = verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      { key: createPublicKey({ key: { ...key }, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature!, 'base64url'),
    );
    expect(valid).toBe(true);
  });

  it('comes from the same issuer in every process, whoever opened the folder first', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => openWorkloadIssuer(data, randomBytes)));
    expect(new Set(opened.map((issuer) => JSON.stringify(issuer))).size).toBe(1);
    expect((await stat(join(data, 'workloads.json'))).mode & 0o777).toBe(0o600);
  });
});

describe('the workload directory', () => {
  const read = (token: string) => {
    const { namespace, pod, serviceaccount } = decode(token.split('.')[1])['kubernetes.io'] as {
      namespace: string;
      pod: { name: string; uid: string };
      serviceaccount: { name: string; uid: string };
    };
    return {
      namespace,
      serviceAccount: serviceaccount.name,
      serviceAccountUID: serviceaccount.uid,
      pod: pod.name,
      podUID: pod.uid,
    };
  };

  it('knows the workloads of its own folder as alive, and each pod by itself', async () => {
    const issuer = await openWorkloadIssuer(data, randomBytes);
    const directory = createWorkloadDirectory(issuer);
    const first = read(issueServiceAccountToken(issuer, request, ports));
    const second = read(issueServiceAccountToken(issuer, { ...request, pod: 'assistant-1' }, ports));
    expect([first, second].map((workload) => directory.alive(workload))).toEqual(['alive', 'alive']);
    expect(first.podUID).not.toBe(second.podUID);
    expect(first.serviceAccountUID).toBe(second.serviceAccountUID);
  });

  it('knows no UID that its seed does not give', async () => {
    const directory = createWorkloadDirectory(await openWorkloadIssuer(data, randomBytes));
    const other = await openWorkloadIssuer(join(data, 'other'), randomBytes);
    expect(directory.alive(read(issueServiceAccountToken(other, request, ports)))).toBe('gone');
  });

  it('does not give away the seed in what it issues', async () => {
    const issuer = await openWorkloadIssuer(data, randomBytes);
    const token = issueServiceAccountToken(issuer, request, ports);
    expect(Buffer.from(token.split('.')[1]!, 'base64url').toString()).not.toContain(issuer.seed);
  });
});
