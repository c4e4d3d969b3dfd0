/** The gateway's log: one JSON line each on standard error; members never hold a token. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface GatewayLog {
  info(members: Readonly<Record<string, unknown>>, message: string): void;
  warn(members: Readonly<Record<string, unknown>>, message: string): void;
  error(members: Readonly<Record<string, unknown>>, message: string): void;
}

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

export function createGatewayLog(level: LogLevel, now: () => number, write: (line: string) => void): GatewayLog {
  const lowest = LOG_LEVELS.indexOf(level);
  const at = (own: LogLevel) => {
    const isShown = LOG_LEVELS.indexOf(own) >= lowest;
    return (members: Readonly<Record<string, unknown>>, message: string): void => {
      if (!isShown) return;
      write(
        `${JSON.stringify({ level: own, time: new Date(now()).toISOString(), role: 'gateway', ...members, msg: message })}\n`,
      );
    };
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
