/** The token endpoint's form, parsed once at the edge: bytes → a typed request, or the error that names the field. */
import { OAuthError } from './errors.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';
export const ACCESS_TOKEN_TYPE = `${TOKEN_TYPE}access_token`;

const RESOURCE_TTL_CAP = 900;
const SESSION_TTL_CAP = 3600;
const MAX_SCOPES = 64;
/** So that every mandate stays within 4 KiB. */
const MAX_SCOPE_TEXT = 1024;
const MAX_RESOURCES = 64;
const MAX_IDENTIFIER = 512;

/** What others' servers take, and what this one takes from its own records only: naming them is an error, never ignored. */
const REFUSED = ['actor_token', 'actor_token_type', 'authorization_details', 'challenge_response'] as const;

const SINGLE = [
  'grant_type',
  'zone_id',
  'application_id',
  'client_id',
  'client_assertion',
  'client_assertion_type',
  'client_secret',
  'requested_token_type',
  'scope',
  'subject_token',
  'subject_token_type',
  'session_id',
  'agent_session_id',
  'delegation_edge_id',
  'challenge_id',
  'approval_id',
  'ttl_seconds',
  'use',
] as const;

const REPEATED = ['resource', 'audience'] as const;
const KNOWN: ReadonlySet<string> = new Set([...SINGLE, ...REPEATED]);
const REFUSED_FIELDS: ReadonlySet<string> = new Set(REFUSED);

export type SubjectTokenType = 'access_token' | 'id_token' | 'jwt';

export interface TokenForm {
  readonly zoneID: string;
  /** `<namespace>.<name>` as the caller claims; authentication decides. */
  readonly clientID: string | undefined;
  readonly clientAssertion: string | undefined;
  readonly clientSecret: string | undefined;
  readonly subjectToken: { readonly token: string; readonly type: SubjectTokenType } | undefined;
  /** Trimmed, unique, sorted. */
  readonly resources: readonly string[];
  /** Unique, in the order sent; undefined where the field is absent. */
  readonly scopes: readonly string[] | undefined;
  readonly sessionID: string | undefined;
  readonly agentSessionID: string | undefined;
  readonly delegationEdgeID: string | undefined;
  /** An approved step-up that this exchange spends. */
  readonly challengeID: string | undefined;
  readonly ttlSeconds: number | undefined;
  readonly use: 'resource' | undefined;
}

/** Throws OAuthError. RFC 6749 §3.2: parameters must not repeat; an empty one is not the same as none. */
export function parseTokenForm(body: Buffer): TokenForm {
  const fields = readFields(body);
  checkGrantType(fields);
  checkTypes(fields);
  const clientID = parseClientID(fields);
  return {
    zoneID: required(fields, 'zone_id'),
    clientID,
    clientAssertion: parseAssertion(fields),
    clientSecret: one(fields, 'client_secret'),
    subjectToken: parseSubjectToken(fields),
    resources: parseResources(fields),
    scopes: parseScopes(fields),
    sessionID: one(fields, 'session_id'),
    agentSessionID: parseID(fields, 'agent_session_id'),
    delegationEdgeID: parseID(fields, 'delegation_edge_id'),
    challengeID: parseChallengeID(fields),
    ttlSeconds: parseTTL(fields),
    use: parseUse(fields),
  };
}

/** The cap that `ttl_seconds` may not pass; the zone's own values only clamp. */
export function checkTTLCap(ttlSeconds: number | undefined, use: 'session' | 'resource'): void {
  const cap = use === 'session' ? SESSION_TTL_CAP : RESOURCE_TTL_CAP;
  if (ttlSeconds !== undefined && ttlSeconds > cap) throw invalid(`ttl_seconds is above ${cap}: ask for less`);
}

type Fields = ReadonlyMap<string, readonly string[]>;

function readFields(body: Buffer): Fields {
  const text = decodeUTF8(body);
  const fields = new Map<string, string[]>();
  if (text === '') return fields;
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=');
    const name = decodeComponent(at < 0 ? pair : pair.slice(0, at));
    const value = decodeComponent(at < 0 ? '' : pair.slice(at + 1));
    addField(fields, name, value);
  }
  return fields;
}

function addField(fields: Map<string, string[]>, name: string, value: string): void {
  if (REFUSED_FIELDS.has(name)) throw invalid(`${name} is not supported: leave it out`);
  if (!KNOWN.has(name))
    throw invalid(`${/^[a-z_]{1,64}$/.test(name) ? name : 'a field'} is not a parameter of this endpoint`);
  if (value === '')
    throw new OAuthError(
      name === 'scope' ? 'invalid_scope' : 'invalid_request',
      `${name} is empty: leave it out or give it a value`,
    );
  const before = fields.get(name);
  if (!before) fields.set(name, [value]);
  else if (name === 'resource' || name === 'audience') before.push(value);
  else throw invalid(`${name} is given twice`);
}

function decodeUTF8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('the body is not UTF-8');
  }
}

const ENCODED = /[%+]/;

function decodeComponent(text: string): string {
  let decoded = text;
  try {
    if (ENCODED.test(text)) decoded = decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalid('the body is not valid application/x-www-form-urlencoded');
  }
  if (decoded.includes('\0')) throw invalid('the body holds a NUL character');
  return decoded;
}

function one(fields: Fields, name: (typeof SINGLE)[number]): string | undefined {
  return fields.get(name)?.[0];
}

function required(fields: Fields, name: (typeof SINGLE)[number]): string {
  const value = one(fields, name);
  if (value === undefined) throw invalid(`${name} is required`);
  return value;
}

function checkGrantType(fields: Fields): void {
  const grantType = one(fields, 'grant_type');
  if (grantType === undefined || grantType === TOKEN_EXCHANGE) return;
  throw new OAuthError('unsupported_grant_type', `grant_type must be ${TOKEN_EXCHANGE}`);
}

function checkTypes(fields: Fields): void {
  const requested = one(fields, 'requested_token_type');
  if (requested === undefined || requested === ACCESS_TOKEN_TYPE || requested === `${TOKEN_TYPE}jwt`) return;
  throw invalid(`requested_token_type must be ${ACCESS_TOKEN_TYPE} or ${TOKEN_TYPE}jwt`);
}

function parseClientID(fields: Fields): string | undefined {
  const application = one(fields, 'application_id');
  const client = one(fields, 'client_id');
  if (application !== undefined && client !== undefined && application !== client) {
    throw invalid('application_id and client_id are the same parameter and differ');
  }
  return application ?? client;
}

function parseAssertion(fields: Fields): string | undefined {
  const assertion = one(fields, 'client_assertion');
  const type = one(fields, 'client_assertion_type');
  if ((assertion === undefined) !== (type === undefined)) {
    throw invalid('client_assertion and client_assertion_type go together');
  }
  if (type !== undefined && type !== JWT_BEARER) throw invalid(`client_assertion_type must be ${JWT_BEARER}`);
  return assertion;
}

function parseSubjectToken(fields: Fields): TokenForm['subjectToken'] {
  const token = one(fields, 'subject_token');
  const type = one(fields, 'subject_token_type');
  if ((token === undefined) !== (type === undefined)) throw invalid('subject_token and subject_token_type go together');
  if (token === undefined || type === undefined) return undefined;
  const short = type.startsWith(TOKEN_TYPE) ? type.slice(TOKEN_TYPE.length) : type;
  if (type.startsWith(TOKEN_TYPE) && (short === 'access_token' || short === 'id_token' || short === 'jwt')) {
    return { token, type: short };
  }
  throw invalid(`subject_token_type must be ${ACCESS_TOKEN_TYPE}, ${TOKEN_TYPE}id_token or ${TOKEN_TYPE}jwt`);
}

/** RFC 8707 §2: absolute URIs without a fragment; compared byte by byte later. */
function parseResources(fields: Fields): readonly string[] {
  const sent = [...(fields.get('resource') ?? []), ...(fields.get('audience') ?? [])].map((value) => value.trim());
  if (sent.length > MAX_RESOURCES) throw new OAuthError('invalid_target', `more than ${MAX_RESOURCES} resources`);
  for (const identifier of sent) {
    if (
      !/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(identifier) ||
      identifier.length > MAX_IDENTIFIER ||
      identifier.includes('#')
    ) {
      throw new OAuthError(
        'invalid_target',
        `resource must be an absolute URI without fragment of at most ${MAX_IDENTIFIER} characters`,
      );
    }
  }
  return [...new Set(sent)].sort();
}

/** RFC 6749 §3.3: scope-tokens with single spaces between. */
function parseScopes(fields: Fields): readonly string[] | undefined {
  const text = one(fields, 'scope');
  if (text === undefined) return undefined;
  if (text.length > MAX_SCOPE_TEXT)
    throw new OAuthError('invalid_scope', `scope is longer than ${MAX_SCOPE_TEXT} characters`);
  const scopes = text.split(' ');
  if (scopes.length > MAX_SCOPES) throw new OAuthError('invalid_scope', `more than ${MAX_SCOPES} scopes`);
  if (scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(scope))) return [...new Set(scopes)];
  throw new OAuthError(
    'invalid_scope',
    'scope must be scope-tokens of at most 128 characters, separated by single spaces',
  );
}

function parseID(fields: Fields, name: (typeof SINGLE)[number]): string | undefined {
  const id = one(fields, name);
  if (id === undefined || /^[0-9a-f-]{36}$/.test(id)) return id;
  throw invalid(`${name} must be an id as this service gave it: a UUID`);
}

function parseChallengeID(fields: Fields): string | undefined {
  const [challenge, approval] = [parseID(fields, 'challenge_id'), parseID(fields, 'approval_id')];
  if (challenge === undefined || approval === undefined || challenge === approval) return challenge ?? approval;
  throw invalid('challenge_id and approval_id are the same parameter and differ');
}

function parseTTL(fields: Fields): number | undefined {
  const text = one(fields, 'ttl_seconds');
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw invalid('ttl_seconds must be a positive integer');
  return Number(text);
}

function parseUse(fields: Fields): 'resource' | undefined {
  const use = one(fields, 'use');
  if (use === undefined || use === 'resource') return use;
  if (use === 'gateway') throw invalid('use=gateway is not supported by this version: leave use out');
  throw invalid('use must be resource');
}

function invalid(message: string): OAuthError {
  return new OAuthError('invalid_request', message);
}
