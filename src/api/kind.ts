/** What a kind is, as a value: the one place that CRDs, the offline validator and the reference documents are made from. */
import * as z from 'zod';
import type { ConditionStatus } from './meta.ts';
import { text, type CELRule } from './schema.ts';

export interface ReasonDefinition {
  readonly status: ConditionStatus;
  readonly meaning: string;
  /** What to do about it; "nothing" where it is as it should be. */
  readonly fix: string;
  /** Only an edit of the object helps: Ready copies it with `Stalled=True`. */
  readonly stalled?: true;
}

export interface ConditionDefinition {
  readonly meaning: string;
  readonly reasons: Readonly<Record<string, ReasonDefinition>>;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with `-o wide`. */
  readonly priority?: 1;
}

export interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  /** DNS label of at most so many characters. */
  readonly maxNameLength: number;
  readonly spec: z.ZodType;
  /** Rules over the whole `spec`. */
  readonly specRules: readonly CELRule[];
  /** Status fields besides conditions and observedGeneration. */
  readonly statusSchema: z.ZodRawShape;
  readonly printerColumns: readonly PrinterColumn[];
  /** JSON paths that a watcher may filter by. */
  readonly selectableFields: readonly string[];
  readonly conditions: Readonly<Record<string, ConditionDefinition>>;
}

const condition = z
  .object({
    type: text(316).describe('What it is about.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
    reason: text(1024).describe('Why, in one word.'),
    message: z.string().max(32768).describe('Why, for people: names the object, the field and the fix.'),
    observedGeneration: z.int().min(0).describe('The generation it was judged by.'),
    lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('When its status changed last.'),
  })
  .describe('One condition (metav1.Condition).');

/** The whole status of a kind. */
export function toStatusShape(definition: KindDefinition): z.ZodType {
  return z
    .object({
      observedGeneration: z.int().min(0).optional().describe('The generation that this status is about.'),
      conditions: z
        .array(condition)
        .max(16)
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
        .optional()
        .describe('See docs/reference/conditions.md.'),
      ...definition.statusSchema,
    })
    .describe('What the controller found; nobody else writes it.');
}

const ofCondition = (type: string, member: 'status' | 'reason') => `.status.conditions[?(@.type=="${type}")].${member}`;

/** A column that shows a member of a condition. */
export function conditionColumn(
  name: string,
  type: string,
  member: 'status' | 'reason',
  description: string,
): PrinterColumn {
  return { name, type: 'string', jsonPath: ofCondition(type, member), description };
}

export const READY_COLUMN = conditionColumn('Ready', 'Ready', 'status', 'Whether it is in force.');
export const REASON_COLUMN = conditionColumn('Reason', 'Ready', 'reason', 'Why, in one word.');
export const AGE_COLUMN: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was created.',
};

export const ZONE_COLUMN: PrinterColumn = {
  name: 'Zone',
  type: 'string',
  jsonPath: '.spec.zoneRef.name',
  description: 'The Zone it belongs to.',
};
