/** The id of a feed event: (store incarnation, zone epoch, config digest). */

export interface Cursor {
  readonly incarnation: string;
  readonly epoch: number;
  readonly digest: string;
}

export function toCursorText({ incarnation, epoch, digest }: Cursor): string {
  return `${incarnation}.${epoch}.${digest}`;
}

/** Undefined where the text is no cursor of ours: the client gets everything afresh. */
export function parseCursor(text: string): Cursor | undefined {
  const [, incarnation, epoch, digest] = /^([0-9A-Za-z-]{1,64})\.([0-9]{1,15})\.([0-9a-f]{64})$/.exec(text) ?? [];
  if (incarnation === undefined || epoch === undefined || digest === undefined) return undefined;
  return { incarnation, epoch: Number(epoch), digest };
}
