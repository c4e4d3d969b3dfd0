/** Pod-bound ServiceAccount tokens (KEP-1205, KEP-2799): checked offline with the cluster's keys, their holder alive. */
import * as z from 'zod';
import { verifyForeignToken, type ForeignVerdict } from '../../tokens/foreign.ts';
import type { Workload, WorkloadDirectory } from '../ports.ts';

const object = z.object({ name: z.string().min(1), uid: z.string().min(1) });
const claims = z.object({
  sub: z.string(),
  exp: z.number(),
  'kubernetes.io': z.object({ namespace: z.string().min(1), serviceaccount: object, pod: object }),
});

type Claims = z.infer<typeof claims>;

/** By the payload itself, which a token that was seen before has in common with itself. */
const shapes = new WeakMap<object, Claims>();

function toShape(payload: Readonly<Record<string, unknown>>): Claims | undefined {
  const known = shapes.get(payload);
  if (known) return known;
  const parsed = claims.safeParse(payload);
  if (parsed.success) shapes.set(payload, parsed.data);
  return parsed.data;
}

export type WorkloadVerdict =
  | { readonly ok: true; readonly workload: Workload; /** Unix seconds. */ readonly expiresAt: number }
  | { readonly ok: false; readonly problem: 'audience' | 'invalid' | 'gone' | 'unknown'; readonly message: string };

/** The token's audience must be exactly `audience`: one that the API server takes as well is refused. */
export function verifyServiceAccountToken(
  token: string,
  audience: string,
  workloads: WorkloadDirectory,
  nowMs: number,
): WorkloadVerdict {
  const verdict: ForeignVerdict = verifyForeignToken(token, {
    keys: workloads.keys(),
    issuer: workloads.issuer(),
    audiences: [audience],
    exactAudience: true,
    nowMs,
  });
  if (!verdict.ok) {
    return { ok: false, problem: verdict.problem === 'audience' ? 'audience' : 'invalid', message: verdict.message };
  }
  const shape = toShape(verdict.claims);
  if (!shape) return { ok: false, problem: 'invalid', message: 'not a pod-bound ServiceAccount token' };
  const { namespace, serviceaccount, pod } = shape['kubernetes.io'];
  if (shape.sub !== `system:serviceaccount:${namespace}:${serviceaccount.name}`) {
    return { ok: false, problem: 'invalid', message: 'sub and kubernetes.io disagree' };
  }
  const workload = {
    namespace,
    serviceAccount: serviceaccount.name,
    serviceAccountUID: serviceaccount.uid,
    pod: pod.name,
    podUID: pod.uid,
  };
  return checkAlive(workload, shape.exp, workloads);
}

function checkAlive(workload: Workload, expiresAt: number, workloads: WorkloadDirectory): WorkloadVerdict {
  const state = workloads.alive(workload);
  switch (state) {
    case 'alive':
      return { ok: true, workload, expiresAt };
    case 'gone':
      return { ok: false, problem: 'gone', message: 'its pod or ServiceAccount is gone' };
    case 'unknown':
      return { ok: false, problem: 'unknown', message: 'it cannot be told now whether its pod is alive' };
  }
}
