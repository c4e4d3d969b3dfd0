/** The claims of a mandate, exactly as on the wire (closed set: an unknown claim is refused). */

export type MandateUse = 'session' | 'gateway' | 'resource';

/** JWT header `typ` per use class. */
export const MANDATE_TYP: Readonly<Record<MandateUse, string>> = {
  resource: 'at+jwt',
  session: 'caracal-session+jwt',
  gateway: 'caracal-gateway+jwt',
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
  readonly agent_session_id?: string;
  /** The last of `delegation_path`, with the two sessions that it joins. */
  readonly delegation_edge_id?: string;
  readonly source_session_id?: string;
  readonly target_session_id?: string;
  /** Edge ids root → leaf. */
  readonly delegation_path?: readonly string[];
  /** Length of `delegation_path`; absent without one. */
  readonly hop_count?: number;
  /** Who passed it on, root → leaf, then the receiver. */
  readonly delegation_chain?: readonly ChainLink[];
  /** True for single use: spent by the first request that is admitted. */
  readonly once?: true;
  /** RFC 7800, RFC 9449 §6.1: bound to this key. */
  readonly cnf?: { readonly jkt: string };
  /** Active policy digest at mint. */
  readonly pol: string;
  /** Zone authority epoch at mint. */
  readonly epoch: number;
}

export interface ChainLink {
  readonly application_id: string;
  readonly agent_session_id?: string;
  readonly delegation_edge_id?: string;
}
