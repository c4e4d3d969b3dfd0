/** The roles' log: JSON lines on standard error, nothing that looks like a token or a secret in them. */
import { pino } from 'pino';
import type { Runtime } from '../cli/runtime.ts';
import type { LogLevel } from '../cli/starters.ts';
import type { Log } from '../sts/ports.ts';

export type RoleLog = Log;

export function createLog(role: string, level: LogLevel, { err, clock }: Pick<Runtime, 'err' | 'clock'>): RoleLog {
  const logger = pino(
    {
      level,
      base: { role },
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS, censor: '[redacted]' },
    },
    { write: (line: string) => err(line) },
  );
  return {
    info: (members, message) => logger.info(members, message),
    warn: (members, message) => logger.warn(members, message),
    error: (members, message) => logger.error(members, message),
  };
}

/** No caller gives these; should one ever, they do not come out. */
const SECRETS = ['token', 'secret', 'authorization', 'client_secret', 'client_assertion', 'subject_token', 'd'];
