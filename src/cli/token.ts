/** `caracal token`: performs one token exchange (RFC 8693) and prints the response. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { makeServiceAccountToken, parseSeconds } from './serviceAccountToken.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import { toPrintable } from './printable.ts';
import { DEFAULT_DATA } from './storeFile.ts';
import { toTable } from './table.ts';

export interface TokenOptions {
  readonly issuer: string;
  readonly zone: string;
  readonly resource: readonly string[];
  readonly scope: readonly string[];
  readonly application?: string;
  readonly assertionFile?: string;
  readonly serviceAccount?: string;
  readonly pod?: string;
  readonly data: string;
  readonly clientSecretFile?: string;
  readonly subjectTokenFile?: string;
  readonly subjectTokenType: 'id_token' | 'access_token' | 'jwt';
  readonly agentSession?: string;
  readonly delegationEdge?: string;
  readonly challenge?: string;
  readonly ttl?: string;
  readonly caFile?: string;
  readonly output: 'table' | 'json' | 'token';
  readonly decode?: boolean;
}

interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type';

export async function runToken(options: TokenOptions, runtime: Runtime): Promise<ExitCode> {
  const issuer = options.issuer.replace(/\/$/, '');
  const form = await toForm(issuer, options, runtime);
  const answer = await post(`${issuer}/oauth/2/token`, form, options, runtime);
  if (answer.status === 200) printMandate(answer.body, options, runtime);
  else printRefusal(answer, options, runtime);
  return answer.status === 200 ? 0 : 1;
}

async function toForm(issuer: string, options: TokenOptions, runtime: Runtime): Promise<URLSearchParams> {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    zone_id: options.zone,
  });
  for (const [name, value] of await toCredential(issuer, options, runtime)) form.append(name, value);
  for (const resource of options.resource) form.append('resource', resource);
  if (options.scope.length > 0) form.append('scope', options.scope.join(' '));
  if (options.subjectTokenFile !== undefined) {
    form.append('subject_token', await readSecretFile(options.subjectTokenFile, '--subject-token-file', runtime));
    form.append('subject_token_type', `${TOKEN_TYPE}:${options.subjectTokenType}`);
  }
  const { agentSession, delegationEdge, challenge } = options;
  if (agentSession !== undefined) form.append('agent_session_id', agentSession);
  if (delegationEdge !== undefined) form.append('delegation_edge_id', delegationEdge);
  if (challenge !== undefined) form.append('challenge_id', challenge);
  if (options.ttl !== undefined) form.append('ttl_seconds', `${parseSeconds(options.ttl, '--ttl')}`);
  return form;
}

/** Exactly one way to say who asks. */
async function toCredential(
  issuer: string,
  options: TokenOptions,
  runtime: Runtime,
): Promise<readonly (readonly [string, string])[]> {
  const { serviceAccount, assertionFile, clientSecretFile, application, zone } = options;
  const given = [serviceAccount, assertionFile, clientSecretFile].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new CommandError(
      'say who asks, one way: --service-account NAMESPACE/NAME (with --data), --assertion-file FILE, or --client-secret-file FILE with --application',
      2,
    );
  }
  const named = application === undefined ? [] : [['application_id', application] as const];
  if (clientSecretFile !== undefined) {
    if (application === undefined) throw new CommandError('--client-secret-file needs --application NAMESPACE.NAME', 2);
    return [...named, ['client_secret', await readSecretFile(clientSecretFile, '--client-secret-file', runtime)]];
  }
  const assertion =
    serviceAccount === undefined
      ? await readSecretFile(assertionFile!, '--assertion-file', runtime)
      : await makeServiceAccountToken(
          serviceAccount,
          {
            audience: `${issuer}/zones/${zone}`,
            data: options.data,
            ttl: '10m',
            ...(options.pod === undefined ? {} : { pod: options.pod }),
          },
          runtime,
        );
  const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
  return [...named, ['client_assertion_type', type], ['client_assertion', assertion]];
}

async function readSecretFile(path: string, flag: string, { cwd }: Runtime): Promise<string> {
  try {
    return (await readFile(resolve(cwd, path), 'utf8')).trim();
  } catch (error) {
    throw new CommandError(`${flag} ${path} cannot be read: ${error instanceof Error ? error.message : ''}`, 1);
  }
}

async function post(
  url: string,
  form: URLSearchParams,
  { caFile }: TokenOptions,
  { cwd }: Runtime,
): Promise<TokenAnswer> {
  const { Agent, request } = await import('undici');
  const ca = caFile === undefined ? undefined : await readFile(resolve(cwd, caFile));
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca } });
  try {
    const response = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: form.toString(),
      headersTimeout: 30_000,
      dispatcher,
    });
    return { status: response.statusCode, body: parseBody(await response.body.text(), url) };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `${url} does not answer (${toCause(error)}): is \`caracal up\` or the STS running there? Set --issuer`,
    );
  } finally {
    await dispatcher.close();
  }
}

function toCause(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

function parseBody(text: string, url: string): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  } catch {
    // Not JSON at all: the message below says so.
  }
  throw new CommandError(`${url} did not answer with a JSON object: --issuer is not a Caracal STS`);
}

function printMandate(
  body: Readonly<Record<string, unknown>>,
  { output, decode }: TokenOptions,
  { out }: Runtime,
): void {
  const token = String(body.access_token);
  if (output === 'token') return out(`${token}\n`);
  const claims = decode ? decodeClaims(token) : undefined;
  if (output === 'json')
    return out(`${JSON.stringify(claims === undefined ? body : { ...body, claims }, undefined, 2)}\n`);
  const rows = Object.entries(body)
    .filter(([name]) => name !== 'access_token')
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(' ') : String(value)])
    .filter(([, value]) => value !== '');
  out(toTable([...rows, ['access_token', token]]));
  if (claims !== undefined) out(`\nclaims ${JSON.stringify(claims, undefined, 2)}\n`);
}

/** For reading only: nothing is verified here. */
function decodeClaims(token: string): unknown {
  const payload = token.split('.')[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
}

function printRefusal({ status, body }: TokenAnswer, { output, data }: TokenOptions, { out, err }: Runtime): void {
  if (output === 'json') return out(`${JSON.stringify(body, undefined, 2)}\n`);
  const member = (name: string) => (typeof body[name] === 'string' ? body[name] : undefined);
  const lines = [
    `refused: ${status} ${member('error') ?? 'unknown error'}${member('reason') ? ` (${member('reason')})` : ''}`,
    ...[member('error_description')].filter((line) => line !== undefined),
    ...toWhy(member('decision_id'), member('requestId'), data),
  ];
  err(lines.map((line) => `${toPrintable(line)}\n`).join(''));
}

/** Where the rest is told: a decision is on record, what else was wrong only in the STS's log. */
function toWhy(decisionID: string | undefined, requestID: string | undefined, data: string): readonly string[] {
  const where = data === DEFAULT_DATA ? '' : ` --data ${data}`;
  if (decisionID !== undefined) return [`why: caracal explain --decision ${decisionID}${where}`];
  return requestID === undefined ? [] : [`why: the log of the STS, request_id ${requestID}`];
}
