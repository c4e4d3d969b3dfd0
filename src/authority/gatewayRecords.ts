/** What a gateway tells of its decisions: `POST /v1/audit`, in batches of which each is stored once. */

export interface AuditBatch {
  /** A life of the gateway's spool: a UUID that no other has. */
  readonly spool: string;
  /** From 1 in its spool. */
  readonly sequence: number;
  readonly requests: readonly GatewayRecord[];
  /** Lines of the spool that its disk gave back damaged. */
  readonly lost?: number;
}

/** One request, or several refusals that are alike. Never a path, a query, a header but the address, or a token. */
export interface GatewayRecord {
  /** Unix milliseconds; of the first one where `count` is there. */
  readonly at: number;
  /** As the upstream and the log of the gateway have it. */
  readonly request_id: string;
  readonly decision: 'allow' | 'refuse';
  readonly method?: string;
  /** Identifier. */
  readonly resource?: string;
  /** Path template of the operation, as the Resource declares it. */
  readonly operation?: string;
  /** Of a mandate whose signature held. */
  readonly jti?: string;
  /** Address that the request came from. */
  readonly source?: string;
  /** Of a refusal, as it was sent. */
  readonly error?: string;
  readonly status?: number;
  /** How many more refusals were like one that has a record already. */
  readonly count?: number;
  /** Unix milliseconds of the last of them. */
  readonly until?: number;
}

/** As it is kept in the log: what was told, by which authenticated gateway. */
export interface GatewayAct extends AuditBatch {
  readonly by: {
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly pod: string;
    readonly podUID: string;
  };
}

/** Characters at most. */
export const RECORD_BOUNDS = { requestID: 128, resource: 2048, operation: 1024, source: 64, jti: 64 } as const;
