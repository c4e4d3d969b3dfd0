/** Whose sessions are whose. */
import type { RuntimeView } from '../runtimeIndex.ts';
import type { AgentSession, ApplicationRef } from './model.ts';

/** Own: started by this very application, or below a session of it. */
export function isOwn(session: AgentSession, application: ApplicationRef, runtime: RuntimeView): boolean {
  if (session.application.uid === application.uid) return true;
  const parent = session.parentID === undefined ? undefined : runtime.session(session.parentID);
  return parent !== undefined && isOwn(parent, application, runtime);
}
