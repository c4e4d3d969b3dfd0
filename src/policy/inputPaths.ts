/** Which `input.*` paths exist, from `policies/input.schema.json`. */
import { readFileSync } from 'node:fs';
import type { PolicyTime } from '../authority/policyInput.ts';
import { INPUT_SCHEMA_FILE } from './capabilities.ts';

/** The parts of JSON Schema that our schema uses. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** One step of a reference: a constant, or undefined where it is a variable or an expression. */
export type Step = string | undefined;

/** The part of an input that differs between two otherwise equal questions. */
export const TIME_MEMBERS = [
  'unix',
  'rfc3339',
  'weekday',
  'hour',
  'minute',
] as const satisfies readonly (keyof PolicyTime)[];
export type TimeMember = (typeof TIME_MEMBERS)[number];

/** Which members of `input.time` a path below `input` may read; a path that is not written out may read all. */
export function toTimeMembers([first, second]: readonly Step[]): readonly TimeMember[] {
  if (first !== undefined && first !== 'time') return [];
  const member = first === undefined ? undefined : TIME_MEMBERS.find((name) => name === second);
  return member === undefined ? TIME_MEMBERS : [member];
}

/** What is wrong with a path below `input`, or undefined where it can exist. */
export type CheckInputPath = (steps: readonly Step[]) => string | undefined;

export function createInputPaths(): CheckInputPath {
  const root = JSON.parse(readFileSync(INPUT_SCHEMA_FILE, 'utf8')) as Schema;
  return (steps) => {
    let schema: Schema | undefined = root;
    for (const [index, step] of steps.entries()) {
      schema = schema?.anyOf ? schema.anyOf.find(({ type }) => type !== 'null') : schema;
      if (!schema || schema.additionalProperties === true || step === undefined) return undefined;
      const path = ['input', ...steps.slice(0, index)].join('.');
      if (schema.type === 'array') schema = schema.items;
      else if (!schema.properties) return `${path} is a ${schema.type} and has no member "${step}"`;
      else if (!Object.hasOwn(schema.properties, step)) {
        return `${path}.${step} does not exist; ${path} has ${Object.keys(schema.properties).join(', ')}`;
      } else schema = schema.properties[step];
    }
    return undefined;
  };
}
