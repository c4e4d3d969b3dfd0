/** `caracal secret new`: a random 256-bit client secret and the digest that goes into the Application. */
import { createHash } from 'node:crypto';
import type { ExitCode, Runtime } from './runtime.ts';

/** Prints the secret once, to standard output only; nothing keeps it. */
export function runSecretNew(
  output: 'text' | 'json',
  { out, randomBytes }: Pick<Runtime, 'out' | 'randomBytes'>,
): ExitCode {
  const secret = Buffer.from(randomBytes(32)).toString('base64url');
  const sha256 = createHash('sha256').update(secret).digest('hex');
  out(output === 'json' ? `${JSON.stringify({ secret, sha256 })}\n` : toText(secret, sha256));
  return 0;
}

function toText(secret: string, sha256: string): string {
  return `secret  ${secret}
sha256  ${sha256}

Give the secret to the software, by a secret store; it is shown only now. Paste the digest into its Application:

  spec:
    identities:
      - clientSecret:
          sha256:
            - ${sha256}

To rotate, add a second digest, change the software over, then remove the first.
`;
}
