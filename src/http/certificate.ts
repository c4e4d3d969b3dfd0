/** A server's certificate: read at the start, and again when its files change, without dropping a connection. */
import { readFileSync, watchFile, unwatchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Log } from '../sts/ports.ts';

export interface TLSFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Throws where the files cannot be read or do not belong together. */
export function readCertificate({ certFile, keyFile }: TLSFiles): CertificatePair {
  const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  createSecureContext(pair);
  return pair;
}

const POLL_MS = 2000;

/** Calls `apply` with each new good pair; a bad one is reported and the old one stays. Returns the stop function. */
export function watchCertificate(files: TLSFiles, apply: (pair: CertificatePair) => void, log: Log): () => void {
  const reload = (): void => {
    try {
      apply(readCertificate(files));
      log.info({}, 'serving certificate reloaded');
    } catch (error) {
      log.error(
        { error: error instanceof Error ? error.message : '' },
        'serving certificate not reloaded; the last one stays',
      );
    }
  };
  const paths = [files.certFile, files.keyFile];
  for (const path of paths) watchFile(path, { interval: POLL_MS, persistent: false }, reload);
  return () => {
    for (const path of paths) unwatchFile(path, reload);
  };
}
