/** Authorization server metadata (RFC 8414). No `jwks_uri`: keys are per zone. */
import { DPOP_ALG } from '../tokens/dpop.ts';
import { TOKEN_EXCHANGE } from './tokenForm.ts';

export function toMetadata(issuer: string): Readonly<Record<string, unknown>> {
  return {
    issuer,
    token_endpoint: `${issuer}/oauth/2/token`,
    response_types_supported: [],
    grant_types_supported: [TOKEN_EXCHANGE],
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    dpop_signing_alg_values_supported: [DPOP_ALG],
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA'],
  };
}
