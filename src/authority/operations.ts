/** Which operation of a Resource a request is: by method and path template, the most specific one. */
import type { Operation } from './snapshot.ts';

export interface OperationIndex {
  /** The scopes it needs, or undefined where no operation matches; segments are percent-decoded. */
  find(method: string, segments: readonly string[]): readonly string[] | undefined;
  /** The path template of the operation that it is, or undefined. */
  template(method: string, segments: readonly string[]): string | undefined;
}

interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | undefined;
  /** Of a path that ends here. */
  end: Operation | undefined;
  /** Of a last `/**`, which matches any rest and none. */
  rest: Operation | undefined;
}

/** Precedence per segment: literal, then `{name}`, then a last `/**`. */
export function createOperationIndex(operations: readonly Operation[]): OperationIndex {
  const byMethod = new Map<string, Node>();
  for (const operation of operations) {
    for (const method of operation.methods) {
      const root = byMethod.get(method) ?? createNode();
      byMethod.set(method, root);
      insert(root, operation.path.slice(1).split('/'), operation);
    }
  }
  const find = (method: string, segments: readonly string[]): Operation | undefined => {
    const root = byMethod.get(method);
    return root && match(root, segments, 0);
  };
  return {
    find: (method, segments) => find(method, segments)?.scopes,
    template: (method, segments) => find(method, segments)?.path,
  };
}

function createNode(): Node {
  return { literals: new Map(), parameter: undefined, end: undefined, rest: undefined };
}

function insert(root: Node, segments: readonly string[], operation: Operation): void {
  let node = root;
  for (const segment of segments) {
    if (segment === '**') {
      node.rest = operation;
      return;
    }
    node = child(node, segment);
  }
  node.end = operation;
}

function child(node: Node, segment: string): Node {
  if (segment.startsWith('{')) return (node.parameter ??= createNode());
  // As in a request: `@` and `%40` are one path to whoever serves it.
  const literal = decodeLiteral(segment);
  const known = node.literals.get(literal) ?? createNode();
  node.literals.set(literal, known);
  return known;
}

/** No request gets here with what is not UTF-8: such a literal may stay as it is. */
function decodeLiteral(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** `{name}` takes a segment that is not empty. */
function match(node: Node, segments: readonly string[], index: number): Operation | undefined {
  if (index === segments.length) return node.end ?? node.rest;
  const segment = segments[index]!;
  const literal = node.literals.get(segment);
  const found = literal && match(literal, segments, index + 1);
  if (found) return found;
  const byParameter = node.parameter && segment !== '' ? match(node.parameter, segments, index + 1) : undefined;
  return byParameter ?? node.rest;
}
