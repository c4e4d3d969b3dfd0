/** A refusal of the API, as metav1.Status. */

/** `reason` is one of metav1.StatusReason, which clients act on. */
export class APIError extends Error {
  override readonly name = 'APIError';
  readonly status: number;
  readonly reason: string;
  readonly retryAfter: number | undefined;
  constructor(status: number, reason: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

export function notFound(resource: string, name: string): APIError {
  return new APIError(404, 'NotFound', `${resource}.runtime.caracal.run ${JSON.stringify(name)} not found`);
}

export function badRequest(message: string): APIError {
  return new APIError(400, 'BadRequest', message);
}

/** Of a `resourceVersion` that cannot be continued: clients then list anew. */
export function expired(): APIError {
  return new APIError(410, 'Expired', 'the resourceVersion is too old, or of another replica: list again');
}

export function toStatus({ status, reason, message, retryAfter }: APIError): Readonly<Record<string, unknown>> {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(retryAfter !== undefined && { details: { retryAfterSeconds: retryAfter } }),
    code: status,
  };
}
