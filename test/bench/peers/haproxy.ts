/** The peer of the gateway: HAProxy with jwt_verify on ES256, one thread, in front of the same upstream. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PATHS = ['haproxy', '/usr/sbin/haproxy'];

/** The installed HAProxy; where there is none, an error that names the command to get it. */
export function findHAProxy(): string {
  const found = PATHS.find((path) => spawnSync(path, ['-v']).status === 0);
  if (!found) throw new Error('HAProxy is not installed; get it with: apt-get install haproxy');
  return found;
}

export interface HAProxyOptions {
  readonly folder: string;
  readonly port: number;
  /** `host:port`. */
  readonly upstream: string;
  readonly key: { readonly x: string; readonly y: string };
  readonly issuer: string;
}

/** Starts it in the foreground; it verifies signature, issuer and expiry, which is what jwt_verify users write. */
export function startHAProxy({ folder, port, upstream, key, issuer }: HAProxyOptions): ChildProcess {
  const pem = join(folder, 'zone.pem');
  const jwk = { kty: 'EC', crv: 'P-256', x: key.x, y: key.y };
  writeFileSync(pem, createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  http-request deny deny_status 401 unless { req.hdr(authorization) -m found }
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str ES256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${issuer} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${pem}") 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  default_backend app
backend app
  server app ${upstream}
`,
  );
  return spawn(findHAProxy(), ['-db', '-f', config], { stdio: ['ignore', 'ignore', 'inherit'] });
}
