/** The closed set of a mandate's claims, each typed and bounded: minter and verifiers share it. */
import type { MandateClaims, MandateUse } from '../authority/claims.ts';

/** Longest mandate that is minted, in bytes. */
export const MAX_MANDATE_BYTES = 4096;
/** Longest lifetime per use, in seconds. */
export const MAX_LIFETIME: Readonly<Record<MandateUse, number>> = { resource: 900, gateway: 900, session: 3600 };

interface ClaimRule {
  readonly required: boolean;
  readonly form: string;
  readonly test: Test;
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
/** RFC 7638: a SHA-256 in base64url. */
const JKT = /^[A-Za-z0-9_-]{43}$/;
const CONTROL = /\p{Cc}/u;
const MAX_LIST = 64;
/** The longest chain of delegation edges (architecture.md §7). */
const MAX_HOPS = 10;

type Test = (value: unknown) => boolean;

const isText =
  (max: number): Test =>
  (value) =>
    typeof value === 'string' && value !== '' && value.length <= max && !CONTROL.test(value);
const isMatch =
  (pattern: RegExp): Test =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const isListOf =
  (min: number, max: number, test: Test): Test =>
  (value) =>
    Array.isArray(value) && value.length >= min && value.length <= max && value.every(test);
const isInteger =
  (min: number, max: number): Test =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
const isOneOf =
  (...values: readonly string[]): Test =>
  (value) =>
    values.some((one) => one === value);
/** An object with nothing but these members, the first of which is required. */
const isObjectOf = (members: Readonly<Record<string, Test>>): Test => {
  const [required] = Object.keys(members);
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.hasOwn(value, required!) &&
    Object.entries(value).every(([name, member]) => Object.hasOwn(members, name) && members[name]!(member));
};
const isLink = isObjectOf({
  application_id: isText(256),
  agent_session_id: isText(64),
  delegation_edge_id: isText(64),
});

const text = (max: number) => ({ required: true, form: `a text of 1 to ${max} characters`, test: isText(max) });
const optional = (rule: ClaimRule): ClaimRule => ({ ...rule, required: false });
const count: ClaimRule = {
  required: true,
  form: 'an integer of 0 or more',
  test: isInteger(0, Number.MAX_SAFE_INTEGER),
};
const list: ClaimRule = {
  required: true,
  form: `an array of 1 to ${MAX_LIST} texts`,
  test: isListOf(1, MAX_LIST, isText(1024)),
};

const RULES: Readonly<Record<keyof MandateClaims, ClaimRule>> = {
  iss: text(1024),
  aud: list,
  exp: count,
  iat: count,
  jti: { required: true, form: 'a UUIDv7', test: isMatch(UUID_V7) },
  sub: text(512),
  sub_type: { required: true, form: 'application or user', test: isOneOf('application', 'user') },
  sub_iss: optional(text(63)),
  sub_id: optional(text(255)),
  zone_id: text(256),
  client_id: text(256),
  use: { required: true, form: 'session, gateway or resource', test: isOneOf('session', 'gateway', 'resource') },
  sid: text(128),
  root_sid: text(128),
  scope: { required: false, form: 'scopes with one space between', test: isMatch(SCOPE) },
  target: optional(list),
  act: { required: false, form: 'an object with nothing but sub', test: isObjectOf({ sub: isText(512) }) },
  agent_session_id: optional(text(64)),
  delegation_edge_id: optional(text(64)),
  source_session_id: optional(text(64)),
  target_session_id: optional(text(64)),
  delegation_path: {
    required: false,
    form: `an array of 1 to ${MAX_HOPS} texts`,
    test: isListOf(1, MAX_HOPS, isText(64)),
  },
  hop_count: { required: false, form: `an integer of 1 to ${MAX_HOPS}`, test: isInteger(1, MAX_HOPS) },
  delegation_chain: {
    required: false,
    form: `an array of 2 to ${MAX_HOPS + 1} links`,
    test: isListOf(2, MAX_HOPS + 1, isLink),
  },
  once: { required: false, form: 'true', test: (value) => value === true },
  cnf: { required: false, form: 'an object with nothing but jkt', test: isObjectOf({ jkt: isMatch(JKT) }) },
  pol: text(256),
  epoch: count,
};
const REQUIRED = Object.entries(RULES).filter(([, rule]) => rule.required);

export type ShapedClaims =
  { readonly ok: true; readonly claims: MandateClaims } | { readonly ok: false; readonly message: string };

/** Total. Messages name claims of ours and never quote what the token says. */
export function parseMandateClaims(payload: Readonly<Record<string, unknown>>): ShapedClaims {
  for (const name of Object.keys(payload)) {
    if (!Object.hasOwn(RULES, name)) return refuse('it has a claim that mandates do not have');
    const rule = RULES[name as keyof MandateClaims];
    if (!rule.test(payload[name])) return refuse(`claim ${name} must be ${rule.form}`);
  }
  for (const [name] of REQUIRED) if (!Object.hasOwn(payload, name)) return refuse(`claim ${name} is missing`);
  const claims = payload as unknown as MandateClaims;
  const message = checkSubject(claims) ?? checkDelegation(claims) ?? checkLifetime(claims);
  return message === undefined ? { ok: true, claims } : refuse(message);
}

function checkSubject({ sub, sub_type, sub_iss, sub_id, client_id, act }: MandateClaims): string | undefined {
  if (sub_type === 'user' && (sub_iss === undefined || sub_id === undefined)) {
    return 'a user needs the claims sub_iss and sub_id';
  }
  if (sub_type === 'user' && sub !== `${sub_iss}:${sub_id}`) return 'claim sub must be sub_iss, a colon and sub_id';
  if (sub_type === 'application' && (sub_iss !== undefined || sub_id !== undefined)) {
    return 'only a user has the claims sub_iss and sub_id';
  }
  if (!act) return undefined;
  if (sub === client_id) return 'claim act may only be there where sub is not client_id';
  return act.sub === client_id ? undefined : 'claim act.sub must be client_id';
}

/** All that speaks of a chain is there, or nothing of it, and all of it says the same. */
function checkDelegation(claims: MandateClaims): string | undefined {
  const { delegation_path: path, delegation_chain: chain, hop_count: hops, delegation_edge_id: edge } = claims;
  const { source_session_id: source, target_session_id: target, agent_session_id: session } = claims;
  if (!path || !chain || hops === undefined || edge === undefined || source === undefined || target === undefined) {
    const isNone = [path, chain, hops, edge, source, target].every((part) => part === undefined);
    return isNone ? undefined : 'the claims of a delegation go together';
  }
  if (path.length !== hops || chain.length !== hops + 1)
    return 'claim hop_count must be the length of delegation_path, and delegation_chain one longer';
  if (path.at(-1) !== edge) return 'claim delegation_edge_id must be the last of delegation_path';
  if (target !== session) return 'claim target_session_id must be agent_session_id';
  return chain.at(-1)!.application_id === claims.client_id
    ? undefined
    : 'claim delegation_chain must end with client_id';
}

function checkLifetime({ exp, iat, use }: MandateClaims): string | undefined {
  if (exp <= iat) return 'claim exp must be later than iat';
  return exp - iat > MAX_LIFETIME[use] ? `claim exp must be at most ${MAX_LIFETIME[use]} s after iat` : undefined;
}

function refuse(message: string): ShapedClaims {
  return { ok: false, message };
}
