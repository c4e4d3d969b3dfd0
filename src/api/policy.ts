/** Policy: one Rego v1 module with its tests. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';

export const policyAppliesTo = z.object({
  resources: z.array(z.string()).optional(),
  applications: z.array(z.string()).optional(),
});

export const policySpec = z.object({
  rego: z.string().min(1).max(65536),
  description: z.string().optional(),
  appliesTo: policyAppliesTo.optional(),
  tests: z
    .array(
      z.object({
        name: z.string(),
        input: z.record(z.string(), z.unknown()).optional(),
        expect: z.object({
          allow: z.boolean().optional(),
          deny: z.array(z.string()).optional(),
          max_ttl_seconds: z.number().optional(),
        }),
      }),
    )
    .optional(),
});

export type PolicySpec = z.output<typeof policySpec>;

export interface PolicyStatus extends BaseStatus {
  /** "5/5": the Tests column. */
  readonly tests?: string;
}

export type Policy = KindObject<'Policy', PolicySpec, PolicyStatus>;
