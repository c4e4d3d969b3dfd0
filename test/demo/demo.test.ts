/** `npm run demo`, as it is: both acts to the end, by itself, every expectation held. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const DEMO = join(import.meta.dirname, '../../scripts/demo/demo.ts');

function play(...args: readonly string[]): Promise<{ readonly exit: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', DEMO, ...args],
      { maxBuffer: 16 * 1024 * 1024 },
      (_error, out, err) => resolve({ exit: child.exitCode ?? -1, output: `${out}${err}` }),
    );
    child.stdin?.end();
  });
}

describe('the demo', () => {
  it('plays both acts to the end by itself, and shows no token', { timeout: 120_000 }, async () => {
    const { exit, output } = await play();
    const titles = [...output.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
    expect(titles).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
    // The alarms about the tampered copy are the only crosses there may be.
    const crosses = output.split('\n').filter((line) => /^ +✗ /.test(line));
    expect(crosses.map((line) => line.trim().split(' ')[1])).toEqual(['RecordChanged', 'ExportChanged']);
    expect(output).toContain('Every step went as it should.');
    expect(output).not.toMatch(/eyJ[\w-]{20,}/);
    expect(exit).toBe(0);
  });

  it('says what it takes, and refuses what it does not know', async () => {
    expect(await play('--help')).toMatchObject({ exit: 0, output: expect.stringContaining('--kubernetes') as string });
    expect((await play('--nonsense')).exit).toBe(2);
  });
});
