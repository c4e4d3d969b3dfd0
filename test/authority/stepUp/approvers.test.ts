/** Who may decide a challenge: the kind of person that policy asked for, outside the requester's chain. */
import { describe, expect, it } from 'vitest';
import {
  checkDecider,
  mayDecide,
  toDecidedBy,
  type Decider,
  type StepUpSettings,
} from '../../../src/authority/stepUp/approvers.ts';
import type { Challenge } from '../../../src/authority/stepUp/challenge.ts';
import { challenge } from './samples.ts';

type Operator = Extract<Decider, { readonly type: 'operator' }>;
type Subject = Extract<Decider, { readonly type: 'subject' }>;

const operator = (said: Partial<Operator> = {}): Operator => ({
  type: 'operator',
  name: 'olga',
  groups: ['system:authenticated', 'payments'],
  applications: [],
  ...said,
});
const machine = (said: Partial<Operator> = {}) =>
  operator({
    name: 'system:serviceaccount:ops:approver',
    groups: ['system:serviceaccounts', 'system:authenticated'],
    ...said,
  });
const subject = (said: Partial<Subject> = {}): Subject => ({
  type: 'subject',
  issuer: 'corp',
  sub: 'ann',
  subjectIssuer: 'https://id',
  applicationID: 'shop.console',
  ...said,
});

const ZONE: StepUpSettings = {
  operatorTTL: 14_400,
  subjectTTL: 900,
  approverApplications: ['shop.console', 'shop.cart', 'shop.planner'],
  allowServiceAccounts: false,
};
const OPEN = { ...ZONE, allowServiceAccounts: true };
const ITSELF: Challenge['subject'] = { type: 'application', issuer: '', sub: 'shop.cart' };

interface Row {
  readonly decider: Decider;
  readonly asked?: Partial<Challenge>;
  readonly zone?: StepUpSettings;
  readonly refused?: string;
}

const ROWS: Readonly<Record<string, Row>> = {
  'an operator, where an operator is asked for': { decider: operator() },
  'an operator, where anyone is asked for': { decider: operator(), asked: { approver: 'any' } },
  'an operator, for an application that acts for itself': { decider: operator(), asked: { subject: ITSELF } },
  'no operator, where the user is asked for': {
    decider: operator(),
    asked: { approver: 'subject' },
    refused: 'wrong_approver',
  },
  'no ServiceAccount': { decider: machine(), refused: 'service_account' },
  'no ServiceAccount, where anyone is asked for': {
    decider: machine(),
    asked: { approver: 'any' },
    refused: 'service_account',
  },
  'no ServiceAccount by its name alone': { decider: machine({ groups: [] }), refused: 'service_account' },
  'no ServiceAccount by its group alone': { decider: machine({ name: 'olga' }), refused: 'service_account' },
  'a ServiceAccount, where the Zone allows them': { decider: machine(), zone: OPEN },
  'no ServiceAccount of the application that asks, though the Zone allows them': {
    decider: machine({ applications: ['shop.other', 'shop.cart'] }),
    zone: OPEN,
    refused: 'in_chain',
  },
  'no ServiceAccount of an application in the chain, though the Zone allows them': {
    decider: machine({ applications: ['shop.front'] }),
    zone: OPEN,
    refused: 'in_chain',
  },
  'the user, where the user is asked for': { decider: subject(), asked: { approver: 'subject' } },
  'the user, where anyone is asked for': { decider: subject(), asked: { approver: 'any' } },
  'no user, where an operator is asked for': { decider: subject(), refused: 'wrong_approver' },
  'no other user': {
    decider: subject({ sub: 'bob' }),
    asked: { approver: 'subject' },
    refused: 'not_the_subject',
  },
  'no user of the same name at another issuer': {
    decider: subject({ issuer: 'partners' }),
    asked: { approver: 'subject' },
    refused: 'not_the_subject',
  },
  'no user of an issuer that took over the name': {
    decider: subject({ subjectIssuer: 'https://other' }),
    asked: { approver: 'subject' },
    refused: 'not_the_subject',
  },
  'no user for an application that acts for itself': {
    decider: subject({ issuer: '', sub: 'shop.cart' }),
    asked: { approver: 'any', subject: ITSELF },
    refused: 'not_the_subject',
  },
  'no user through an application that is no approver application': {
    decider: subject({ applicationID: 'shop.web' }),
    asked: { approver: 'subject' },
    refused: 'no_approver_application',
  },
  'no user, where the Zone names no approver application': {
    decider: subject(),
    asked: { approver: 'subject' },
    zone: { ...ZONE, approverApplications: [] },
    refused: 'no_approver_application',
  },
  'no user through the application that asks, though it is an approver application': {
    decider: subject({ applicationID: 'shop.cart' }),
    asked: { approver: 'subject' },
    refused: 'in_chain',
  },
  'no user through the application that asks, though the chain leaves it out': {
    decider: subject({ applicationID: 'shop.cart' }),
    asked: { approver: 'subject', chain: [] },
    refused: 'in_chain',
  },
  'no user through an application of the chain, though it is an approver application': {
    decider: subject({ applicationID: 'shop.planner' }),
    asked: { approver: 'subject' },
    refused: 'in_chain',
  },
};

describe('who decides', () => {
  it.each(Object.entries(ROWS))('%s', (_what, { decider, asked = {}, zone = ZONE, refused }) => {
    expect(checkDecider(challenge(asked), decider, zone)).toBe(refused);
    expect(mayDecide(challenge(asked), decider, zone)).toBe(refused === undefined);
  });

  it('is kept by kind and name', () => {
    expect([operator(), subject()].map(toDecidedBy)).toEqual(['operator:olga', 'subject:corp:ann']);
  });
});
