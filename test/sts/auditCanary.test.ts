/** whatever was sent to the STS as a proof, and whatever it issued, is in no record of the log. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { SECRET } from './shop.ts';
import { BY_SECRET, byAssertion, mandateOf, podToken, READ, startSTS, withSubject } from './service.ts';
import { idp, idTokenClaims, signAs } from './tokens.ts';

/** A JWT as a whole, and each part that is worth stealing or could be put together again. */
const partsOf = (token: string) => [token, token.split('.')[1]!, token.split('.')[2]!];

describe('the log of decisions', () => {
  it('A-10 E-11 holds no secret and no token, of permits, denials and refusals alike', async () => {
    const sts = await startSTS();
    const nonce = 'canary-nonce-5f2b';
    const idToken = signAs(idp, idTokenClaims(sts.seconds(), { nonce, salary: 'canary-claim-91ac' }));
    const assertion = podToken(sts);
    const wrongSecret = 'canary-secret-0000000000000000000000000000000';
    const answers = [
      await sts.token({ ...byAssertion(assertion), ...READ }),
      await sts.token({ ...BY_SECRET, ...withSubject(idToken) }),
      await sts.token({ ...BY_SECRET, ...READ }),
      await sts.token({ ...BY_SECRET, ...withSubject(idToken), ...READ }),
      await sts.token({ ...BY_SECRET, ...READ, scope: 'sealed' }),
      await sts.token({ ...BY_SECRET, ...READ, client_secret: wrongSecret }),
      await sts.token({ ...byAssertion(`${assertion}x`), ...READ }),
    ];
    const reader = openSQLiteReader({ path: sts.storePath });
    const lines = [...reader.logLines()];
    reader.close();
    const key = readFileSync(`${sts.storePath}.audit.key`, 'utf8').split('\n')[1]!;
    await sts.close();
    const issued = answers.filter(({ status }) => status === 200).map(mandateOf);
    expect([issued.length, lines.length]).toEqual([3, expect.toSatisfy((count: number) => count >= 4)]);
    const canaries = [
      SECRET,
      wrongSecret,
      nonce,
      'canary-claim-91ac',
      key,
      ...[idToken, assertion, ...issued].flatMap(partsOf),
    ];
    expect(canaries.filter((canary) => lines.some((line) => line.includes(canary)))).toEqual([]);
  });
});
