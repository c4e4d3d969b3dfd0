/** PolicySetRevision: the immutable, content-addressed text of a PolicySet that passed its tests. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { policyAppliesTo } from './policy.ts';
import { name } from './schema.ts';

export const policySetRevisionSpec = z.object({
  /** Name of the PolicySet, same namespace. */
  set: name(52),
  number: z.int().min(1),
  /** `sha256:<hex>` over the text below; readers recompute it. */
  digest: z.string(),
  policies: z
    .array(z.object({ name: name(63), rego: z.string().min(1).max(65536), appliesTo: policyAppliesTo.optional() }))
    .min(1)
    .max(256),
});

export type PolicySetRevisionSpec = z.output<typeof policySetRevisionSpec>;

export type PolicySetRevisionStatus = BaseStatus;

export type PolicySetRevision = KindObject<'PolicySetRevision', PolicySetRevisionSpec, PolicySetRevisionStatus>;
