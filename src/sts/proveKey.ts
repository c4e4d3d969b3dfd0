/** The key that a mandate is to be bound to, proved by the one DPoP proof of the request (RFC 9449 §5, §8). */
import type { ExchangeRequest } from '../authority/decision.ts';
import { OAuthError, toLimited } from './errors.ts';
import type { ExchangeCall } from './exchange.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import { TOKEN_PATH } from './server.ts';

/** Undefined without a proof. Throws OAuthError. */
export function proveKey(
  { dpop: proof }: Pick<ExchangeCall, 'dpop'>,
  { use }: Pick<ExchangeRequest, 'use'>,
  { dpop, issuer }: Pick<ExchangePorts, 'dpop' | 'issuer'>,
): string | undefined {
  if (proof === undefined) return undefined;
  // Whoever takes a session mandate takes it as a bearer's.
  if (use === 'session')
    throw new OAuthError(
      'invalid_request',
      'DPoP binds mandates for a Resource only: leave the header out for a login',
    );
  const verdict = dpop.verify(proof, { method: 'POST', urls: [`${issuer}${TOKEN_PATH}`] });
  if (verdict.ok) return verdict.jkt;
  if (verdict.problem === 'full') throw toLimited(1, verdict.message);
  const code = verdict.problem === 'nonce' ? 'use_dpop_nonce' : 'invalid_dpop_proof';
  throw new OAuthError(code, verdict.message, { headers: { 'DPoP-Nonce': dpop.nonce() } });
}
