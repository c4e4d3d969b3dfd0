/** One call that changes sessions or edges: decided under the present state, recorded and written together, told once. */
import { createHash } from 'node:crypto';
import type { Changed } from '../../authority/agents/outcome.ts';
import { refuse, type AgentRefusal } from '../../authority/agents/refusal.ts';
import type { RuntimeAct } from '../../authority/decision.ts';
import type { IdempotentAnswer } from '../../authority/runtime.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { OAuthError, toAgentError, toUnavailable } from '../errors.ts';
import { toActRecord, type ActPorts } from '../runtime/act.ts';
import type { Decision, Runtimes } from '../runtime/runtimes.ts';
import type { Caller } from './caller.ts';

export interface ChangePorts extends ActPorts {
  readonly runtimes: Runtimes;
}

export interface Call {
  readonly caller: Caller;
  readonly requestID: string;
  readonly name: RuntimeAct['name'];
  /** Told again, and done once, for the same key and body. */
  readonly idempotency?: { readonly key: string; readonly body: Buffer };
}

export interface Answered {
  readonly body: Readonly<Record<string, unknown>>;
  readonly isReplay: boolean;
}

/** How long an answer is told again. */
const ANSWER_SECONDS = 24 * 3600;

/** Throws OAuthError. `toBody` is given the state before the change. */
export async function change<T>(
  call: Call,
  act: (view: RuntimeView, now: number) => Changed<T> | AgentRefusal,
  toBody: (result: T, view: RuntimeView) => Readonly<Record<string, unknown>>,
  ports: ChangePorts,
): Promise<Answered> {
  const { snapshot } = call.caller.zone;
  try {
    const { value } = await ports.runtimes.write(snapshot.uid, (view) => decideCall(call, view, act, toBody, ports));
    if ('type' in value) throw toAgentError(value);
    return value;
  } catch (error) {
    throw error instanceof StoreUnavailable ? toUnavailable(`store: ${error.message}`) : error;
  }
}

function decideCall<T>(
  call: Call,
  view: RuntimeView,
  act: (view: RuntimeView, now: number) => Changed<T> | AgentRefusal,
  toBody: (result: T, view: RuntimeView) => Readonly<Record<string, unknown>>,
  ports: ChangePorts,
): Decision<Answered | AgentRefusal> {
  const now = ports.clock.now();
  const known = call.idempotency && view.answer(toAnswerID(call));
  if (known && known.expiresAt * 1000 > now) return { type: 'answer', value: toReplay(known, call) };
  const outcome = act(view, now);
  if (outcome.type === 'refusal') return { type: 'answer', value: outcome };
  const body = toBody(outcome.result, view);
  const value = { body, isReplay: false };
  const puts = [...outcome.puts, ...toRemembered(call, body, now)];
  if (puts.length === 0) return { type: 'answer', value };
  const { caller, name, requestID } = call;
  const decision = toActRecord(caller.zone, { name, by: caller.application.id, puts, requestID }, ports);
  const runtime = { puts, ...(outcome.change && { change: outcome.change }) };
  return { type: 'commit', commit: { decision, runtime }, value };
}

function toReplay(known: IdempotentAnswer, { idempotency }: Call): Answered | AgentRefusal {
  if (known.bodyDigest === digestOf(idempotency!.body)) return { body: known.answer, isReplay: true };
  return refuse('idempotency_key_reused', 'Idempotency-Key was sent before with another body: take a new one');
}

function toRemembered(call: Call, answer: IdempotentAnswer['answer'], now: number): readonly IdempotentAnswer[] {
  if (!call.idempotency) return [];
  const bodyDigest = digestOf(call.idempotency.body);
  const expiresAt = Math.floor(now / 1000) + ANSWER_SECONDS;
  return [{ kind: 'idempotentAnswer', id: toAnswerID(call), bodyDigest, answer, expiresAt }];
}

/** A key belongs to (zone, application, call, key). */
function toAnswerID({ caller, name, idempotency }: Call): string {
  return JSON.stringify([caller.application.uid, name, idempotency!.key]);
}

function digestOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Throws OAuthError. */
export function parseIdempotencyKey(
  header: string | readonly string[] | undefined,
  body: Buffer,
): Pick<Call, 'idempotency'> {
  if (header === undefined) return {};
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return { idempotency: { key: header, body } };
  throw new OAuthError('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters, once');
}
