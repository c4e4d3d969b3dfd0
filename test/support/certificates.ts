/** X.509 certificates of one test run: an authority, and what it signs; DER by hand, since Node makes none (RFC 5280). */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  issue(subject: { readonly commonName: string; readonly dnsNames?: readonly string[] }): Certificate;
}

export function createAuthority(commonName: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = build({ commonName, issuer: commonName, publicKey: keys.publicKey, signer: keys.privateKey, isCA: true });
  return {
    cert: own,
    key: toKey(keys.privateKey),
    issue(subject) {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const signed = {
        ...subject,
        issuer: commonName,
        publicKey: leaf.publicKey,
        signer: keys.privateKey,
        isCA: false,
      };
      return { cert: build(signed), key: toKey(leaf.privateKey) };
    },
  };
}

interface Described {
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly isCA: boolean;
}

function build({ commonName, dnsNames = [], issuer, publicKey, signer, isCA }: Described): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)]);
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    algorithm,
    name(issuer),
    sequence(tagged(0x17, Buffer.from('200101000000Z')), tagged(0x17, Buffer.from('491231235959Z'))),
    name(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(dnsNames, isCA))),
  );
  const signature = sign('sha256', body, signer);
  return toPEM(sequence(body, algorithm, bits(0, signature)));
}

function extensions(dnsNames: readonly string[], isCA: boolean): readonly Buffer[] {
  const constraints = extension('2.5.29.19', isCA ? sequence(tagged(0x01, Buffer.from([0xff]))) : sequence());
  if (isCA) return [constraints, extension('2.5.29.15', bits(1, Buffer.from([0x06])))];
  const usages = sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'));
  const names = sequence(...dnsNames.map((dnsName) => tagged(0x82, Buffer.from(dnsName))));
  return [constraints, extension('2.5.29.37', usages), ...(dnsNames.length > 0 ? [extension('2.5.29.17', names)] : [])];
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}

function name(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('2.5.4.3'), tagged(0x0c, Buffer.from(commonName)))));
}

function bits(unused: number, value: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unused]), value]));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tagged(0x06, Buffer.from([first! * 40 + second!, ...bytes]));
}

function toPEM(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
}

function toKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
