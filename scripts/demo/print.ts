/** How the demo speaks: one numbered step after the other, real requests and real answers, tokens cut short. */

const BOLD = process.stdout.isTTY ? ['\x1b[1m', '\x1b[0m'] : ['', ''];
const FAINT = process.stdout.isTTY ? ['\x1b[2m', '\x1b[0m'] : ['', ''];

const write = (text: string) => process.stdout.write(`${text}\n`);

export function title(text: string): void {
  write(`\n${BOLD[0]}${text}${BOLD[1]}`);
}

export function note(text: string): void {
  write(`   ${text}`);
}

export function detail(text: string): void {
  for (const line of text.trimEnd().split('\n')) write(`   ${FAINT[0]}${line}${FAINT[1]}`);
}

export function verdict(ok: boolean, text: string): void {
  write(`   ${ok ? '✓' : '✗'} ${text}`);
}

/** A token is shown by its first characters only: enough to recognise, useless to present. */
export function shortToken(token: string): string {
  return `${token.slice(0, 12)}…`;
}

/** The payload of a JWT, for looking at; nothing here verifies it. */
export function decodePayload(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;
}
