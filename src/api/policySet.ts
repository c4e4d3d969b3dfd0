/** PolicySet: which Policies decide together. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { name } from './schema.ts';

export const policySetSpec = z.object({
  policies: z.array(z.object({ name: name(63) })).min(1).max(256),
  historyLimit: z.int().min(1).max(100).default(10),
});

export type PolicySetSpec = z.output<typeof policySetSpec>;

export interface PolicySetStatus extends BaseStatus {
  /** Number of the latest revision. */
  readonly revision?: number;
  readonly digest?: string;
  /** How many policies: the Policies column. */
  readonly policies?: number;
}

export type PolicySet = KindObject<'PolicySet', PolicySetSpec, PolicySetStatus>;
