/** Delegation as a tree: who runs under whom, by which edge, with which scopes, hops and end. */
import { toPrintable } from '../printable.ts';
import type { RuntimeObject } from './objects.ts';

export interface TreeNode {
  readonly session: string;
  readonly application: string;
  readonly state: string;
  /** As it came from the node above; absent for a child session and at a root. */
  readonly edge?: {
    readonly id: string;
    readonly scopes: readonly string[];
    readonly resources: readonly string[];
    readonly hopsLeft: number;
    readonly expiresAt: string;
  };
  readonly expiresAt?: string;
  readonly below: readonly TreeNode[];
}

/** Roots are sessions without a parent and without an edge to them. A session is shown below every edge to it. */
export function toTree(sessions: readonly RuntimeObject[], edges: readonly RuntimeObject[]): readonly TreeNode[] {
  const byID = new Map(sessions.map((session) => [session.metadata.name, session]));
  const received = new Set(edges.map(({ spec }) => String(spec['targetSession'])));
  const isRoot = ({ metadata, spec }: RuntimeObject) =>
    !received.has(metadata.name) && !byID.has(String(spec['parent'] ?? ''));
  const toNode = (session: RuntimeObject, edge: RuntimeObject | undefined, above: ReadonlySet<string>): TreeNode => {
    const id = session.metadata.name;
    const seen = new Set([...above, id]);
    const outbound = edges.filter(({ spec }) => spec['sourceSession'] === id);
    const byEdge = outbound.flatMap((one) => {
      const target = byID.get(String(one.spec['targetSession']));
      return target && !seen.has(target.metadata.name) ? [toNode(target, one, seen)] : [];
    });
    const children = sessions.filter(
      ({ metadata, spec }) => spec['parent'] === id && !received.has(metadata.name) && !seen.has(metadata.name),
    );
    return toShown(session, edge, [...byEdge, ...children.map((child) => toNode(child, undefined, seen))]);
  };
  return sessions.filter(isRoot).map((session) => toNode(session, undefined, new Set()));
}

function toShown(
  { metadata, spec, status }: RuntimeObject,
  edge: RuntimeObject | undefined,
  below: readonly TreeNode[],
) {
  return {
    session: metadata.name,
    application: String(spec['application']),
    state: String(status['state']),
    ...(spec['expiresAt'] !== undefined && { expiresAt: String(spec['expiresAt']) }),
    ...(edge && {
      edge: {
        id: edge.metadata.name,
        scopes: edge.spec['scopes'] as readonly string[],
        resources: edge.spec['resources'] as readonly string[],
        hopsLeft: Number(edge.spec['hopsLeft']),
        expiresAt: String(edge.spec['expiresAt']),
      },
    }),
    below,
  };
}

/** Lines of text, the way `tree` prints folders. */
export function toTreeText(roots: readonly TreeNode[]): string {
  return roots.map((root) => `${toLine(root)}\n${toBelow(root.below, '')}`).join('');
}

function toBelow(nodes: readonly TreeNode[], indent: string): string {
  return nodes
    .map((node, index) => {
      const isLast = index === nodes.length - 1;
      const line = `${indent}${isLast ? '└─ ' : '├─ '}${toLine(node)}\n`;
      return line + toBelow(node.below, `${indent}${isLast ? '   ' : '│  '}`);
    })
    .join('');
}

function toLine({ application, session, state, edge, expiresAt }: TreeNode): string {
  const who = `${application} (${session}${state === 'active' ? '' : `, ${state}`})`;
  if (!edge) return toPrintable(`${who}${expiresAt === undefined ? '' : ` until ${expiresAt}`}`);
  const resources = edge.resources.length === 0 ? '' : ` on ${edge.resources.join(', ')}`;
  const hops = edge.hopsLeft === 1 ? '1 hop left' : `${edge.hopsLeft} hops left`;
  return toPrintable(
    `${who}: ${edge.scopes.join(', ')}${resources}; ${hops}; until ${edge.expiresAt}; edge ${edge.id}`,
  );
}
