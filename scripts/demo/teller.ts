/** What every step does: show a request with its answer, and hold it against what must come back. */
import { detail, verdict } from './print.ts';
import type { Answer } from './wire.ts';

export interface Teller {
  expect(text: string, ok: boolean): void;
  show(answer: Answer): Answer;
  /** How many expectations did not hold. */
  differences(): number;
}

export function createTeller(): Teller {
  let differences = 0;
  return {
    expect(text, ok) {
      verdict(ok, text);
      if (!ok) differences += 1;
    },
    show(answer) {
      detail(answer.transcript);
      return answer;
    },
    differences: () => differences,
  };
}
