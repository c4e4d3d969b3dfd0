/** Our rules about a tenant's module, read from the tree that opa parses: package, references, rules and formats. */
import { RULES, type ModuleFacts, type RuleName } from './assemble.ts';
import { toTimeMembers, type CheckInputPath, type Step, type TimeMember } from './inputPaths.ts';
import { parseFormat } from './sprintf.ts';

/** `line` counts from 1 in the tenant's text. */
export interface Problem {
  readonly reason: 'PackageInvalid' | 'CompileFailed';
  readonly line: number;
  readonly message: string;
}

/** Any node of the tree; what is read of it is checked first. */
type Node = Readonly<Record<string, unknown>>;

/** A term of the tree. */
interface Term extends Node {
  readonly type: string;
  readonly value: unknown;
}

export interface Syntax {
  readonly facts: ModuleFacts;
  readonly problems: readonly Problem[];
}

/** Reads the tree of `opa parse --format json --json-include locations`. Throws TypeError for what is no such tree. */
export function readSyntax(tree: unknown, checkInputPath: CheckInputPath): Syntax {
  if (!isNode(tree) || !isNode(tree.package)) throw new TypeError('opa printed no module');
  const path = toSteps(terms(tree.package.path)).slice(1) as string[];
  const rules = (Array.isArray(tree.rules) ? tree.rules : []).filter(isNode);
  const imports = toImports(tree.imports);
  const problems = [
    ...checkPackage(path, lineOf(tree.package)),
    ...checkAnnotations(tree.annotations),
    ...rules.flatMap((rule) => checkRule(rule, path)),
    ...checkReferences([tree.imports, tree.rules], path, imports, checkInputPath),
  ];
  const names = new Set(rules.map(ruleName));
  const meaningful = path[1] === 'policy' ? RULES.filter((name) => names.has(name)) : [];
  const clauses = rules.map((rule) => ({ name: ruleName(rule), line: lineOf(rule) }));
  const time = readTimeMembers([tree.imports, tree.rules], imports);
  const constants = readConstants([tree.imports, tree.rules], imports);
  const facts = { package: path, rules: meaningful, time, constants, clauses };
  return { facts, problems: problems.sort((a, b) => a.line - b.line) };
}

function checkPackage(path: readonly string[], line: number): readonly Problem[] {
  const isOurs = path[0] === 'caracal' && (path[1] === 'policy' || path[1] === 'data') && path.length > 2;
  if (isOurs) return [];
  const message = `package ${path.join('.')} is not under caracal.policy. (or, for constants only, caracal.data.)`;
  return [{ reason: 'PackageInvalid', line, message }];
}

/** They could replace the schema that is checked against, or add entry points. */
function checkAnnotations(annotations: unknown): readonly Problem[] {
  const list = (Array.isArray(annotations) ? annotations : []).filter(isNode);
  return list
    .filter((annotation) => 'schemas' in annotation || 'entrypoint' in annotation)
    .map((annotation) => ({
      reason: 'PackageInvalid' as const,
      line: lineOf(annotation),
      message: 'METADATA with schemas or entrypoint is not for policies; remove it',
    }));
}

function checkRule(rule: Node, path: readonly string[]): readonly Problem[] {
  const head = isNode(rule.head) ? rule.head : {};
  const line = lineOf(rule);
  const name = ruleName(rule);
  const problem = (message: string): readonly Problem[] => [{ reason: 'PackageInvalid', line, message }];
  if (path[1] === 'data') {
    return isConstant(rule, head) ? [] : problem(`${name}: package caracal.data.* holds constants only`);
  }
  if (!isRuleName(name)) return [];
  if (head.args !== undefined) return problem(`${name} is a function; it has to be a rule`);
  if (name === 'allow' && rule.default === true && isTrue(head.value)) {
    return problem('default allow := true would permit everything; write rules that say when to allow');
  }
  if ((name === 'deny' || name === 'step_up') && isObjectRule(head)) return problem(IS_OBJECT[name]);
  return [];
}

const IS_OBJECT = {
  deny: 'deny is an object here; write deny contains "…" if { … }',
  step_up: 'step_up is an object here; write step_up contains {"tier": "…", "approver": "…"} if { … }',
} as const;

/** `deny["x"] if …`: in Rego v1 an object, which would silently deny nothing it should. */
function isObjectRule(head: Node): boolean {
  return terms(head.ref).length > 1;
}

function isTrue(value: unknown): boolean {
  return isNode(value) && value.type === 'boolean' && value.value === true;
}

/** A value without variables, references, calls or conditions. */
function isConstant(rule: Node, head: Node): boolean {
  const body = Array.isArray(rule.body) ? rule.body : [];
  const isUnconditional = body.length === 1 && isNode(body[0]) && isTrue(body[0].terms);
  if (!isUnconditional || head.args !== undefined || rule.else !== undefined || rule.default === true) return false;
  let ground = true;
  visit([head.key, head.value], ({ node }) => {
    if (typeof node.type === 'string' && !GROUND.has(node.type)) ground = false;
  });
  return ground;
}

const GROUND: ReadonlySet<string> = new Set(['null', 'boolean', 'number', 'string', 'array', 'set', 'object']);

/** Every reference of the module: to data, to input, to what `with` replaces, and formats of sprintf. */
function checkReferences(
  root: unknown,
  path: readonly string[],
  imports: ReadonlyMap<string, readonly Step[]>,
  checkInputPath: CheckInputPath,
): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (reason: Problem['reason'], line: number, message: string | undefined) => {
    if (message !== undefined) problems.push({ reason, line, message });
  };
  visit(root, ({ node, line, isHead }) => {
    if (node.type === 'var' && node.value === 'data' && !isHead) add('PackageInvalid', line, checkData([], path));
    if (node.type === 'ref') {
      const [head, ...steps] = resolve(toSteps(terms(node.value)), imports);
      if (head === 'data') add('PackageInvalid', line, checkData(steps, path));
      if (head === 'input') add('CompileFailed', line, checkInputPath(steps));
    }
    if (isNode(node.target) && 'value' in node) add('PackageInvalid', line, checkWith(node.target, imports));
    add('CompileFailed', line, checkCall(node));
  });
  return problems;
}

/** Every member of `input.time` that a reference may reach; `input` as a value may reach them all. */
function readTimeMembers(root: unknown, imports: ReadonlyMap<string, readonly Step[]>): readonly TimeMember[] {
  const members = new Set<TimeMember>();
  visit(root, ({ node, isHead }) => {
    const isWhole = node.type === 'var' && node.value === 'input' && !isHead;
    const [head, ...steps] = node.type === 'ref' ? resolve(toSteps(terms(node.value)), imports) : [];
    if (isWhole || head === 'input') for (const member of toTimeMembers(steps)) members.add(member);
  });
  return [...members].sort();
}

/** Each constant of `caracal.data.` that is read, with the first line that does. */
function readConstants(root: unknown, imports: ReadonlyMap<string, readonly Step[]>): ModuleFacts['constants'] {
  const found = new Map<string, { readonly path: readonly string[]; readonly line: number }>();
  visit(root, ({ node, line }) => {
    const [head, ...steps] = node.type === 'ref' ? resolve(toSteps(terms(node.value)), imports) : [];
    if (head !== 'data' || !isShared(steps)) return;
    const end = steps.indexOf(undefined);
    const path = (end < 0 ? steps : steps.slice(0, end)) as readonly string[];
    const known = found.get(path.join('.'));
    if (!known || line < known.line) found.set(path.join('.'), { path, line });
  });
  return [...found.values()].sort((a, b) => a.line - b.line);
}

function isShared(steps: readonly Step[]): boolean {
  return steps[0] === 'caracal' && steps[1] === 'data' && steps[2] !== undefined;
}

function checkData(steps: readonly Step[], own: readonly string[]): string | undefined {
  const isOwn = own.every((segment, index) => steps[index] === segment);
  if (isOwn || isShared(steps)) return undefined;
  const shown = ['data', ...steps.map((step) => step ?? '…')].join('.');
  return `${shown} is not this policy's to read; it may use its own package and data.caracal.data.<name>`;
}

/** Replacing functions could smuggle in what capabilities forbid, replacing data what the platform says. */
function checkWith(target: Node, imports: ReadonlyMap<string, readonly Step[]>): string | undefined {
  const steps = target.type === 'ref' ? resolve(toSteps(terms(target.value)), imports) : [String(target.value)];
  return steps[0] === 'input' ? undefined : '`with` may replace only input';
}

/** A format that is written out is checked here, with its line, not when it is first evaluated. */
function checkCall(node: Node): string | undefined {
  const call = node.type === 'call' ? node.value : node.terms;
  const [operator, format] = terms(call);
  if (!operator || operator.type !== 'ref' || format?.type !== 'string') return undefined;
  const name = toSteps(terms(operator.value));
  if (name.length !== 1 || name[0] !== 'sprintf') return undefined;
  try {
    parseFormat(String(format.value));
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function toImports(imports: unknown): ReadonlyMap<string, readonly Step[]> {
  const entries = (Array.isArray(imports) ? imports : []).filter(isNode).map((entry) => {
    const steps = isNode(entry.path) ? toSteps(terms(entry.path.value)) : [];
    return [typeof entry.alias === 'string' ? entry.alias : String(steps.at(-1)), steps] as const;
  });
  return new Map(entries);
}

function resolve(steps: readonly Step[], imports: ReadonlyMap<string, readonly Step[]>): readonly Step[] {
  const [head, ...rest] = steps;
  const imported = head === undefined ? undefined : imports.get(head);
  return imported && head !== 'input' && head !== 'data' ? [...imported, ...rest] : steps;
}

/** The head's name, then each constant string; anything else is undefined. */
function toSteps(ref: readonly Term[]): readonly Step[] {
  return ref.map((term, index) =>
    term.type === 'string' || (index === 0 && term.type === 'var') ? String(term.value) : undefined,
  );
}

interface Visited {
  readonly node: Node;
  /** Of the node, or the nearest around it. */
  readonly line: number;
  /** Whether the node is the head of a reference. */
  readonly isHead: boolean;
}

/** Visits every node without recursion, since text can nest deeper than a stack. */
function visit(root: unknown, visitor: (visited: Visited) => void): void {
  const stack: { readonly value: unknown; readonly line: number; readonly isHead: boolean }[] = [
    { value: root, line: 1, isHead: false },
  ];
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (Array.isArray(next.value)) {
      for (const value of next.value) stack.push({ value, line: next.line, isHead: false });
      continue;
    }
    if (!isNode(next.value)) continue;
    const node = next.value;
    const line = lineOf(node, next.line);
    visitor({ node, line, isHead: next.isHead });
    for (const [key, value] of Object.entries(node)) {
      if (key === 'location' || key === 'annotations') continue;
      if (node.type === 'ref' && key === 'value') {
        terms(value).forEach((term, index) => stack.push({ value: term, line, isHead: index === 0 }));
      } else stack.push({ value, line, isHead: false });
    }
  }
}

function ruleName(rule: Node): string {
  const head = isNode(rule.head) ? rule.head : {};
  return String(terms(head.ref)[0]?.value ?? head.name ?? '');
}

function isRuleName(name: string): name is RuleName {
  return (RULES as readonly string[]).includes(name);
}

function lineOf(node: Node, otherwise = 1): number {
  return isNode(node.location) && typeof node.location.row === 'number' ? node.location.row : otherwise;
}

function terms(value: unknown): readonly Term[] {
  return Array.isArray(value) ? (value.filter(isNode) as Term[]) : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
