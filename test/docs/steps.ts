/** A document as steps that a shell can follow: its blocks of commands, each with the text that it promises. */
import { join } from 'node:path';
import { ROOT, read } from './texts.ts';

export interface Step {
  readonly command: string;
  /** Lines of the block of text that follows. */
  readonly promised: readonly string[];
}

export type Ports = readonly (readonly [RegExp, string])[];

/** The blocks in order, with ports that are free here. */
export function toSteps(document: string, ports: Ports): readonly Step[] {
  const text = ports.reduce((before, [port, free]) => before.replaceAll(port, free), read(document));
  const found = [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(
    (match) => [match[1]!, match[2]!.trimEnd()] as const,
  );
  return found.flatMap(([language, block], index) => {
    const next = found[index + 1];
    const promised = next?.[0] === 'text' ? next[1].split('\n') : [];
    return language === 'sh' ? [{ command: block, promised }] : [];
  });
}

const MAIN = `"${process.execPath}" --disable-warning=ExperimentalWarning "${join(ROOT, 'src/main.ts')}"`;

/** `caracal`, which here knows that the STS is at another port than it would be. */
export function preludeOf(port: number): string {
  return `caracal() { if [ "$1" = token ]; then shift; set -- token --issuer http://127.0.0.1:${port} "$@"; fi; ${MAIN} "$@"; }
node() { "${process.execPath}" "$@"; }
`;
}
