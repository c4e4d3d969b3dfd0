/** What is wrong with a manifest, and where: file, line, field and fix. */

export interface Problem {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** Field path such as `spec.scopes[0].name`; "" for the document or the file. */
  readonly path: string;
  readonly message: string;
  /** `<Kind> <namespace>/<name>` where the object is known. */
  readonly object?: string;
}

/** One line for people: `file:line: object: field: message`. */
export function toProblemLine(problem: Problem): string {
  const parts = [problem.object, problem.path, problem.message].filter((part) => part !== undefined && part !== '');
  return `${problem.file}:${problem.line}: ${parts.join(': ')}`;
}
