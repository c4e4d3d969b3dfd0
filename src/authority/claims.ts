/** The claims of a mandate, exactly as on the wire (closed set: an unknown claim is refused). */

export type MandateUse = 'session' | 'resource';

/** JWT header `typ` per use class. */
export const MANDATE_TYP: Readonly<Record<MandateUse, string>> = {
  resource: 'at+jwt',
  session: 'caracal-session+jwt',
};

export interface MandateClaims {
  readonly iss: string;
  readonly aud: readonly string[];
  /** Unix seconds. */
  readonly exp: number;
  /** Unix seconds. */
  readonly iat: number;
  /** UUIDv7. */
  readonly jti: string;
  readonly sub: string;
  readonly sub_type: 'application' | 'user';
  /** For a user: name in subjectIssuers. */
  readonly sub_iss?: string;
  /** For a user: the `sub` at that issuer. */
  readonly sub_id?: string;
  readonly zone_id: string;
  readonly client_id: string;
  readonly use: MandateUse;
  readonly sid: string;
  readonly root_sid: string;
  /** Space-delimited; absent when empty. */
  readonly scope?: string;
  readonly target?: readonly string[];
  /** RFC 8693, one level, only where sub ≠ client_id. */
  readonly act?: { readonly sub: string };
  /** Active policy digest at mint. */
  readonly pol: string;
  /** Zone authority epoch at mint. */
  readonly epoch: number;
}
