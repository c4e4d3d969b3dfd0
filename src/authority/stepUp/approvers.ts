/** Who may decide a challenge: a person outside the requester's chain, of the kind that policy asked for. */
import type { Challenge } from './challenge.ts';

/** `Zone.spec.stepUp`. */
export interface StepUpSettings {
  /** Seconds that an operator has at most, also where the user could decide. */
  readonly operatorTTL: number;
  /** Seconds that the user has at most. */
  readonly subjectTTL: number;
  /** Ids of the Applications through which users decide. */
  readonly approverApplications: readonly string[];
  readonly allowServiceAccounts: boolean;
}

/** Who decides, as they authenticated. */
export type Decider =
  | {
      readonly type: 'operator';
      /** As the API server authenticated them, and authorized for the verb `approve`. */
      readonly name: string;
      readonly groups: readonly string[];
      /** Ids of the zone's Applications that this ServiceAccount is an identity of; empty for a person. */
      readonly applications: readonly string[];
    }
  | {
      readonly type: 'subject';
      /** The issuer's name in the Zone. */
      readonly issuer: string;
      readonly sub: string;
      /** The issuer's URL at the login. */
      readonly subjectIssuer: string;
      /** Through which the user logged in. */
      readonly applicationID: string;
    };

/** Why somebody may not decide. */
export type DeciderRefusal =
  /** Policy asked for another kind of person. */
  | 'wrong_approver'
  | 'service_account'
  /** It is, or logged in through, an Application of the requester's own chain. */
  | 'in_chain'
  | 'not_the_subject'
  /** Logged in through an Application that is none of the Zone's `approverApplications`. */
  | 'no_approver_application';

type Settings = Pick<StepUpSettings, 'approverApplications' | 'allowServiceAccounts'>;

/** Undefined where they may. */
export function checkDecider(challenge: Challenge, decider: Decider, zone: Settings): DeciderRefusal | undefined {
  if (challenge.approver !== 'any' && challenge.approver !== decider.type) return 'wrong_approver';
  return decider.type === 'operator' ? checkOperator(challenge, decider, zone) : checkSubject(challenge, decider, zone);
}

export function mayDecide(challenge: Challenge, decider: Decider, zone: Settings): boolean {
  return checkDecider(challenge, decider, zone) === undefined;
}

/** What a challenge keeps of whoever decided it. */
export function toDecidedBy(decider: Decider): string {
  return decider.type === 'operator' ? `operator:${decider.name}` : `subject:${decider.issuer}:${decider.sub}`;
}

type Operator = Extract<Decider, { readonly type: 'operator' }>;
type Subject = Extract<Decider, { readonly type: 'subject' }>;

/** Names and groups that Kubernetes gives to ServiceAccounts, and to them alone. */
const SERVICE_ACCOUNT = 'system:serviceaccount:';
const SERVICE_ACCOUNTS = 'system:serviceaccounts';

/** Machines with the verb `*` hold `approve` without anyone having meant it. */
function checkOperator(challenge: Challenge, operator: Operator, zone: Settings): DeciderRefusal | undefined {
  const { name, groups, applications } = operator;
  const isMachine = name.startsWith(SERVICE_ACCOUNT) || groups.includes(SERVICE_ACCOUNTS);
  if (isMachine && zone.allowServiceAccounts !== true) return 'service_account';
  return applications.some((id) => isInChain(challenge, id)) ? 'in_chain' : undefined;
}

function checkSubject(challenge: Challenge, decider: Subject, zone: Settings): DeciderRefusal | undefined {
  const { subject } = challenge;
  const isSame =
    subject.type === 'user' &&
    subject.issuer === decider.issuer &&
    subject.sub === decider.sub &&
    subject.subjectIssuer === decider.subjectIssuer;
  if (!isSame) return 'not_the_subject';
  if (!zone.approverApplications.includes(decider.applicationID)) return 'no_approver_application';
  return isInChain(challenge, decider.applicationID) ? 'in_chain' : undefined;
}

function isInChain({ application, chain }: Challenge, id: string): boolean {
  return application.id === id || chain.includes(id);
}
