/** Asks whoever sits at the terminal; where nobody does, the demo goes on by itself. */
import { createInterface } from 'node:readline/promises';
import { note } from './print.ts';

/** True for yes, which is also what an empty answer and the end of input mean. */
export async function ask(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    note(`${question} yes (nobody is at the terminal)`);
    return true;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const ended = new AbortController();
  terminal.once('close', () => ended.abort());
  try {
    const answer = await terminal.question(`   ${question} [Y/n] `, { signal: ended.signal });
    return !/^\s*n/i.test(answer);
  } catch (error) {
    if (ended.signal.aborted) return true;
    throw error;
  } finally {
    terminal.close();
  }
}
