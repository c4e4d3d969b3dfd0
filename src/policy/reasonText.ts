/** Reasons that policies give reach callers, approvers and records: each so long. */
const MAX_REASON = 512;

export function shortenText(reason: string): string {
  return reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason;
}
