/** What an exchange must come to, from the values of its fields alone: a table of faults in the order they are met. */

/** A value of each field, by name; the test knows what is sent for it. */
export interface Combination {
  readonly caller: 'cart' | 'till';
  readonly session: 'none' | 'own' | 'ended' | 'foreign' | 'unknown' | 'malformed';
  readonly edge: 'none' | 'own' | 'revoked' | 'elsewhere' | 'unknown' | 'malformed';
  readonly subject: 'none' | 'itself' | 'alice' | 'forged' | 'untyped';
  readonly resource: 'payments' | 'ledger' | 'unknown' | 'two' | 'none' | 'malformed' | 'fragment';
  readonly scope: Scope;
  readonly use: 'none' | 'resource' | 'gateway' | 'junk';
  readonly ttl: 'none' | '60' | '900' | '901' | '0' | '-1' | '1.5' | 'junk';
  readonly challenge: 'none' | 'unknown' | 'malformed';
  readonly dpop: 'none' | 'good' | 'other method' | 'junk';
}

type Scope =
  | 'read'
  | 'read brief'
  | 'read sealed'
  | 'READ'
  | 'write'
  | 'transfer'
  | 'silent'
  | 'agent:lifecycle'
  | 'none'
  | 'two spaces';

export const VALUES: { readonly [Field in keyof Combination]: readonly Combination[Field][] } = {
  caller: ['cart', 'till'],
  session: ['none', 'own', 'ended', 'foreign', 'unknown', 'malformed'],
  edge: ['none', 'own', 'revoked', 'elsewhere', 'unknown', 'malformed'],
  subject: ['none', 'itself', 'alice', 'forged', 'untyped'],
  resource: ['payments', 'ledger', 'unknown', 'two', 'none', 'malformed', 'fragment'],
  scope: [
    ...(['read', 'read brief', 'read sealed', 'READ', 'write', 'transfer'] as const),
    ...(['silent', 'agent:lifecycle', 'none', 'two spaces'] as const),
  ],
  use: ['none', 'resource', 'gateway', 'junk'],
  ttl: ['none', '60', '900', '901', '0', '-1', '1.5', 'junk'],
  challenge: ['none', 'unknown', 'malformed'],
  dpop: ['none', 'good', 'other method', 'junk'],
};

/** Those that are met first; of one rank any may be told. */
interface Rule {
  readonly rank: number;
  readonly error: string;
  readonly when: (asked: Combination) => boolean;
}

/** wire.md, "Which `use` is minted": a login carries no authority of a Resource. */
export const isLogin = ({ scope, session, subject, use }: Combination): boolean =>
  use === 'none' && session === 'none' && scope === 'agent:lifecycle' && subject === 'none';

/** As whom: till holds nothing but what the edge carries; the edge is of cart, for itself. */
const underEdge = ({ caller, session, edge }: Combination) => caller === 'till' && session === 'own' && edge === 'own';
const inSession = ({ session }: Combination) => session === 'own';
const forAlice = ({ subject }: Combination) => subject === 'alice';

const OWN: readonly Scope[] = ['read', 'read brief', 'write', 'transfer', 'silent'];
const ALICE: readonly Scope[] = ['read'];
const EDGE: readonly Scope[] = ['read'];

function isGranted(asked: Combination): boolean {
  if (asked.resource !== 'payments') return false;
  if (underEdge(asked)) return EDGE.includes(asked.scope);
  if (asked.caller === 'till') return false;
  return (forAlice(asked) ? ALICE : OWN).includes(asked.scope);
}

function isDeclared({ resource, scope }: Combination): boolean {
  if (resource === 'ledger') return scope === 'read';
  return scope !== 'READ' && scope !== 'agent:lifecycle';
}

const onResource = (wrong: (asked: Combination) => boolean) => (asked: Combination) => !isLogin(asked) && wrong(asked);

const RULES: readonly Rule[] = [
  { rank: 0, error: '400 invalid_request', when: ({ session }) => session === 'malformed' },
  { rank: 0, error: '400 invalid_request', when: ({ edge }) => edge === 'malformed' },
  { rank: 0, error: '400 invalid_request', when: ({ challenge }) => challenge === 'malformed' },
  { rank: 0, error: '400 invalid_request', when: ({ subject }) => subject === 'untyped' },
  { rank: 0, error: '400 invalid_request', when: ({ use }) => use === 'gateway' || use === 'junk' },
  { rank: 0, error: '400 invalid_request', when: ({ ttl }) => ['0', '-1', '1.5', 'junk'].includes(ttl) },
  { rank: 0, error: '400 invalid_target', when: ({ resource }) => ['malformed', 'fragment'].includes(resource) },
  { rank: 0, error: '400 invalid_scope', when: ({ scope }) => scope === 'two spaces' },
  { rank: 1, error: '401 invalid_token', when: ({ subject }) => subject === 'forged' },
  // A login is of one application, and till takes no users.
  { rank: 1, error: '401 invalid_token', when: (asked) => forAlice(asked) && asked.caller === 'till' },
  { rank: 2, error: '400 invalid_request', when: (asked) => asked.ttl === '901' && !isLogin(asked) },
  { rank: 2, error: '400 invalid_target', when: onResource(({ resource }) => ['two', 'none'].includes(resource)) },
  { rank: 2, error: '400 invalid_scope', when: onResource(({ scope }) => scope === 'none') },
  // The session acts for its application, or for the root of its edge: nobody else may be named with it.
  {
    rank: 3,
    error: '400 invalid_request',
    when: (asked) => inSession(asked) && asked.edge === 'none' && forAlice(asked),
  },
  { rank: 3, error: '400 invalid_request', when: (asked) => underEdge(asked) && asked.subject === 'itself' },
  { rank: 4, error: '400 invalid_request', when: (asked) => isLogin(asked) && asked.dpop !== 'none' },
  { rank: 4, error: '400 invalid_dpop_proof', when: ({ dpop }) => dpop === 'other method' || dpop === 'junk' },
  { rank: 5, error: '403 session_required', when: ({ session, edge }) => session === 'none' && edge !== 'none' },
  { rank: 5, error: '403 access_denied', when: ({ session }) => ['foreign', 'unknown', 'ended'].includes(session) },
  {
    rank: 5,
    error: '403 access_denied',
    when: (asked) => inSession(asked) && asked.edge !== 'none' && !underEdge(asked),
  },
  { rank: 6, error: '404 resource_not_found', when: onResource(({ resource }) => resource === 'unknown') },
  { rank: 7, error: '403 scope_insufficient', when: onResource((asked) => !isDeclared(asked)) },
  { rank: 7, error: '403 scope_insufficient', when: onResource((asked) => !isGranted(asked)) },
  { rank: 8, error: '403 access_denied', when: onResource(({ scope }) => scope === 'transfer' || scope === 'silent') },
  { rank: 9, error: '401 access_denied', when: ({ scope, challenge }) => scope === 'write' && challenge === 'unknown' },
  {
    rank: 9,
    error: '401 interaction_required',
    when: ({ scope, challenge }) => scope === 'write' && challenge === 'none',
  },
];

/** What may be answered; `200` alone where nothing is wrong. */
export function expected(asked: Combination): ReadonlySet<string> {
  const met = RULES.filter(({ when }) => when(asked));
  const first = Math.min(...met.map(({ rank }) => rank));
  return new Set(met.length === 0 ? ['200'] : met.filter(({ rank }) => rank === first).map(({ error }) => error));
}
