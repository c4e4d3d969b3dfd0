/** Parses the text of one manifest file into documents that know their lines; YAML as kubectl reads it, and JSON. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, Scalar } from 'yaml';
import type { Document, Node, ScalarTag, YAMLMap } from 'yaml';
import type { Problem } from './problem.ts';

/** One document, or one item of a `kind: List`. */
export interface ManifestDocument {
  readonly value: unknown;
  readonly file: string;
  /** 1-based line where it begins. */
  readonly line: number;
  /** The line of a field path such as `spec.scopes[0].name`, or of its nearest parent that is written. */
  lineOf(path: string): number;
  /** The line of the file where line `line` (1-based) of a text value is, or of the value where it is not written line by line. */
  lineInText(path: string, line: number): number;
}

export interface ParsedManifest {
  readonly file: string;
  readonly documents: readonly ManifestDocument[];
  /** Not empty: the file cannot be used as it is. */
  readonly problems: readonly Problem[];
}

/** kubectl reads YAML 1.1 booleans; so do we, or one file would mean two things. */
const legacyBoolean: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|on)/i.test(text),
};

/** Never throws: what cannot be parsed is a problem with its line. */
export function parseManifest(text: string, file: string): ParsedManifest {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
    lineCounter: lines,
    merge: true,
    customTags: (tags) => [legacyBoolean, ...tags],
    logLevel: 'silent',
  });
  const documents = Array.isArray(parsed) ? parsed : [];
  const problems = documents.flatMap((document) => document.errors.map((error) => toProblem(error, file)));
  if (problems.length > 0) return { file, documents: [], problems };
  const results = documents.map((document) => readDocument(document, file, lines));
  return {
    file,
    documents: results.flatMap((result) => result.documents),
    problems: results.flatMap((result) => result.problems),
  };
}

function toProblem(
  error: { message: string; linePos?: readonly { line: number }[] | undefined },
  file: string,
): Problem {
  const message = error.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
  return { file, line: error.linePos?.[0]?.line ?? 1, path: '', message: `not valid YAML: ${message}` };
}

function readDocument(document: Document, file: string, lines: LineCounter): Omit<ParsedManifest, 'file'> {
  const line = (node: unknown) => lineAt(node, lines) ?? 1;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const message = `not usable YAML: ${error instanceof Error ? error.message : 'unknown error'}`;
    return { documents: [], problems: [{ file, line: line(document.contents), path: '', message }] };
  }
  if (value === null || value === undefined) return { documents: [], problems: [] };
  const items = listItems(value);
  if (!items) return { documents: [toDocument(value, document.contents, file, lines)], problems: [] };
  const nodes = childAt(document.contents, 'items');
  const documents = items.map((item, index) => toDocument(item, childAt(nodes?.value, index)?.value, file, lines));
  return { documents, problems: [] };
}

/** The items of a `v1` List as `kubectl get -o yaml` writes it. */
function listItems(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('items' in value)) return undefined;
  const isList = typeof value.kind === 'string' && value.kind.endsWith('List');
  return isList && Array.isArray(value.items) ? value.items : undefined;
}

function toDocument(value: unknown, root: unknown, file: string, lines: LineCounter): ManifestDocument {
  const line = lineAt(root, lines) ?? 1;
  const find = (path: string): { readonly node: unknown; readonly line: number } => {
    let node = root;
    let found = line;
    for (const step of parseSteps(path)) {
      const child = childAt(node, step);
      if (!child) return { node: undefined, line: found };
      found = lineAt(child.key ?? child.value, lines) ?? found;
      node = child.value;
    }
    return { node, line: found };
  };
  return {
    value,
    file,
    line,
    lineOf: (path) => find(path).line,
    lineInText(path, textLine) {
      const { node, line: at } = find(path);
      const isBlock = isScalar(node) && node.type === Scalar.BLOCK_LITERAL;
      return isBlock ? (lineAt(node, lines) ?? at) + textLine : at;
    },
  };
}

/** `spec.scopes[0].name` → ['spec', 'scopes', 0, 'name']; `a["b.c"]` is one step for keys that hold dots. */
function parseSteps(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|\["([^"]*)"\]|([^.[\]]+)/g)].map((match) =>
    match[1] === undefined ? (match[2] ?? match[3]!) : Number(match[1]),
  );
}

function childAt(node: unknown, step: string | number): { key?: unknown; value: unknown } | undefined {
  if (isSeq(node) && typeof step === 'number') {
    const value = node.items[step];
    return value === undefined ? undefined : { value };
  }
  if (isMap(node)) return pairAt(node, String(step));
  return undefined;
}

function pairAt(node: YAMLMap, key: string): { key: unknown; value: unknown } | undefined {
  return node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);
}

function lineAt(node: unknown, lines: LineCounter): number | undefined {
  const range = isNode(node) ? node.range : undefined;
  return range ? lines.linePos(range[0]).line : undefined;
}

function isNode(node: unknown): node is Node {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node);
}
