/** A zone's signing keys: which one signs, which are published, and when the next one is made. */

/** One P-256 key of a zone with its private half. Only the STS and the controller hold these. */
export interface PrivateZoneKey {
  readonly kid: string;
  readonly x: string;
  readonly y: string;
  /** The private scalar (JWK `d`). Never leaves the key Secret, the data folder or memory. */
  readonly d: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds from which it may sign; undefined: standby, published only. */
  readonly activeAt: number | undefined;
}
