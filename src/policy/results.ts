/** OPA's results as compile reads them: gathered before, keyed by digests of text, so that compile stays pure. */

/** One `step_up` that a test expects, as it is written in Rego. */
export interface ExpectedStepUp {
  readonly tier: string;
  readonly approver: 'operator' | 'subject' | 'any';
  readonly ttl_seconds?: number;
  readonly reason?: string;
}

export interface PolicyTest {
  readonly name: string;
  readonly input?: unknown;
  readonly expect: {
    readonly allow?: boolean;
    readonly deny?: readonly string[];
    readonly step_up?: readonly ExpectedStepUp[];
    readonly max_ttl_seconds?: number;
  };
}

/** What there is to check of one Policy. */
export interface PolicyText {
  readonly rego: string;
  readonly tests: readonly PolicyTest[];
}

export type PolicyReport =
  | { readonly ok: true; readonly package: string; readonly testsPassed: number; readonly testsTotal: number }
  | {
      readonly ok: false;
      readonly reason: 'CompileFailed' | 'PackageInvalid' | 'TestsFailed' | 'TooLarge';
      /** Names the line and the fix. */
      readonly message: string;
      readonly testsPassed: number;
      readonly testsTotal: number;
    };

export type PolicySetReport =
  | { readonly ok: true; readonly digest: string }
  | { readonly ok: false; readonly reason: 'PackageConflict' | 'CompileFailed' | 'TooLarge'; readonly message: string };

/**
 * Results by digest of the text. `undefined` means not gathered yet: compile treats the object as pending
 * (Accepted=False is never written from it; the caller gathers before it compiles).
 */
export interface PolicyResults {
  policy(digest: string): PolicyReport | undefined;
  policySet(digest: string): PolicySetReport | undefined;
}
