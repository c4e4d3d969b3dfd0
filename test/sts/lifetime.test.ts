/** A mandate's life where the clock moves while it is decided. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BY_SECRET, mandateOf, READ, startSTS, type TestSTS } from './service.ts';
import { decode } from './tokens.ts';
let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());
it('is what was asked for also where the clock passed a second meanwhile', async () => {
  sts.meanwhile.evaluated = () => sts.advance(1);
  const answers = [
    await sts.token({ ...BY_SECRET, ...READ, ttl_seconds: '60' }),
    await sts.token({ ...BY_SECRET, ...READ, ttl_seconds: '1' }),
  ];
  sts.meanwhile.evaluated = undefined;
  expect(
    answers.map((answer) => {
      const { exp, iat } = decode(mandateOf(answer)).claims;
      return (exp as number) - (iat as number);
    }),
  ).toEqual([60, 1]);
});
