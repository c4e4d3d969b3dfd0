/** Groups of writes, each in one transaction under the locks of its zones. */
import type { Operation, Outcome } from '../protocol.ts';
import { applyPlan } from './apply.ts';
import type { Chains } from './chains.ts';
import type { Context } from './context.ts';
import { gatherFacts, HeadsMissing, insertHeads, zonesOf } from './gather.ts';
import { sendHint } from './hints.ts';
import { checkLife } from './life.ts';
import { planGroup, type Plan } from './plan.ts';
import { commit, type Session } from './sessions.ts';

/** `name`: of the log's chains, which no other process has. */
export function createWriter(
  { sessions, seal, incarnation, reached, clock }: Context,
  chains: Chains,
  name: string,
): (operations: readonly Operation[]) => Promise<readonly Outcome[]> {
  /** Zones whose head has a row. */
  const known = new Set<string>();
  const ensureHeads = async (operations: readonly Operation[]): Promise<void> => {
    const zones = zonesOf(operations).filter((zoneUID) => !known.has(zoneUID));
    if (zones.length === 0) return;
    await sessions.tend((session) => insertHeads(session, seal, zones));
    for (const zoneUID of zones) known.add(zoneUID);
  };

  const planIn = async (session: Session, operations: readonly Operation[], now: number): Promise<Plan> => {
    const before = reached.known();
    const [facts] = await Promise.all([gatherFacts(session, seal, operations), checkLife(session, incarnation)]);
    reached.note(facts.heads.values(), before);
    const logHeads = await chains.heads(session, [...facts.heads.keys()]);
    return planGroup({ ...facts, logHeads }, operations, { seal, writer: name, now });
  };

  const writeGroup = async (operations: readonly Operation[]): Promise<readonly Outcome[]> => {
    const now = clock.now();
    let plan: Plan | undefined;
    try {
      await ensureHeads(operations);
      plan = await sessions.write(async (session) => {
        plan = await planIn(session, operations, now);
        const hint = plan.moved.size > 0 ? sendHint(session) : undefined;
        await Promise.all([applyPlan(session, plan, { seal, writer: name, now }), hint, commit(session)]);
        return plan;
      });
    } catch (error) {
      // It may have been committed though its answer was lost.
      if (plan) chains.doubt(plan.logHeads);
      if (error instanceof HeadsMissing) known.clear();
      throw error;
    }
    chains.advance(plan.logHeads);
    reached.note(plan.heads.values(), new Map());
    return plan.outcomes;
  };

  /** What the database cannot take, such as a text with a NUL, is refused alone. */
  const write = async (operations: readonly Operation[]): Promise<readonly Outcome[]> => {
    try {
      return await writeGroup(operations);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (operations.length === 1) return [{ type: 'refused', message: error.message }];
      const outcomes: Outcome[] = [];
      for (const operation of operations) outcomes.push(...(await write([operation])));
      return outcomes;
    }
  };

  return write;
}

/** SQLSTATE classes 22 and 23: a value that is none, a constraint. */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code));
}
