/** Who asks: the API server says so in headers, and proves itself by a client certificate (Kubernetes, "authenticating proxy"). */
import type { User } from '../runtimeapi/ports.ts';

/** ConfigMap kube-system/extension-apiserver-authentication, which every API server writes. */
export interface RequestHeaderRules {
  /** PEM: what signed the API server's client certificate. */
  readonly clientCA: string;
  /** Common names it may have; empty: any that the CA signed. */
  readonly allowedNames: readonly string[];
  /** Lower case. */
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

/** Throws where the API server is not set up for aggregation. */
export function parseRules(data: Readonly<Record<string, string>>): RequestHeaderRules {
  const clientCA = data['requestheader-client-ca-file'];
  const usernameHeaders = toNames(data, 'requestheader-username-headers');
  if (clientCA === undefined || usernameHeaders.length === 0)
    throw new Error('the API server has no aggregation layer: set its --requestheader-… flags');
  return {
    clientCA,
    allowedNames: toList(data, 'requestheader-allowed-names'),
    usernameHeaders,
    uidHeaders: toNames(data, 'requestheader-uid-headers'),
    groupHeaders: toNames(data, 'requestheader-group-headers'),
    extraPrefixes: toNames(data, 'requestheader-extra-headers-prefix'),
  };
}

function toList(data: Readonly<Record<string, string>>, key: string): readonly string[] {
  const list: unknown = JSON.parse(data[key] ?? '[]');
  if (Array.isArray(list) && list.every((one) => typeof one === 'string')) return list;
  throw new Error(`extension-apiserver-authentication: ${key} is no list of names`);
}

function toNames(data: Readonly<Record<string, string>>, key: string): readonly string[] {
  return toList(data, key).map((name) => name.toLowerCase());
}

/** The peer of a TLS connection: its certificate was verified against `clientCA`, or it was not. */
export interface Peer {
  readonly isVerified: boolean;
  readonly commonName: string | undefined;
}

/** Undefined where the peer is not the API server, or names nobody. `rawHeaders`: names and values in turn. */
export function readUser(rawHeaders: readonly string[], peer: Peer, rules: RequestHeaderRules): User | undefined {
  if (!peer.isVerified || peer.commonName === undefined) return undefined;
  if (rules.allowedNames.length > 0 && !rules.allowedNames.includes(peer.commonName)) return undefined;
  const headers = toPairs(rawHeaders);
  const first = (names: readonly string[]) => names.flatMap((name) => valuesOf(headers, name))[0];
  const name = first(rules.usernameHeaders);
  if (name === undefined || name === '') return undefined;
  const uid = first(rules.uidHeaders);
  const extra = toExtra(headers, rules.extraPrefixes);
  return {
    name,
    ...(uid !== undefined && { uid }),
    groups: rules.groupHeaders.flatMap((group) => valuesOf(headers, group)),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

type Pair = readonly [name: string, value: string];

function toPairs(raw: readonly string[]): readonly Pair[] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1] ?? ''] as const] : []));
}

function valuesOf(headers: readonly Pair[], name: string): readonly string[] {
  return headers.flatMap(([own, value]) => (own === name ? [value] : []));
}

/** Keys are percent-encoded, since names of headers are few characters and of one case. */
function toExtra(headers: readonly Pair[], prefixes: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const prefix = prefixes.find((one) => name.startsWith(one) && name.length > one.length);
    if (prefix === undefined) continue;
    const key = decode(name.slice(prefix.length));
    extra.set(key, [...(extra.get(key) ?? []), value]);
  }
  return Object.fromEntries(extra);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch {
    return text;
  }
}
