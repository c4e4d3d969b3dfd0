/** The schemas of the runtime API as OpenAPI, for `kubectl explain` and generated clients. */
import { createHash } from 'node:crypto';
import { ACTIONS, BASE, GROUP, RESOURCES, VERSION_NAME } from './group.ts';

/** Undefined where the path is none of OpenAPI. */
export function toOpenAPI(path: string): unknown {
  switch (path) {
    case '/openapi/v2':
      // kube-apiserver merges this one into its own; kubectl reads v3.
      return { swagger: '2.0', info: INFO, paths: {}, definitions: {} };
    case '/openapi/v3':
      return { paths: { [PATH]: { serverRelativeURL: `/openapi/v3/${PATH}?hash=${HASH}` } } };
    case `/openapi/v3/${PATH}`:
      return DOCUMENT;
    default:
      return undefined;
  }
}

const PATH = BASE.slice(1);
const INFO = { title: 'Caracal runtime', version: VERSION_NAME };

type Schema = Readonly<Record<string, unknown>>;

const text = (description: string): Schema => ({ type: 'string', description });
const texts = (description: string): Schema => ({ type: 'array', items: { type: 'string' }, description });
const whole = (description: string): Schema => ({ type: 'integer', format: 'int32', description });
const time = (description: string): Schema => ({ type: 'string', format: 'date-time', description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const object = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  ...{ type: 'object', description, properties },
});
const open = (description: string): Schema => ({ type: 'object', description, additionalProperties: true });

const SUBJECT = object('For whom it acts.', {
  type: text('`application` for itself, or `user`.'),
  issuer: text("The name in the Zone's subjectIssuers; empty for an application."),
  sub: text('The user, or the application id.'),
});

const SCHEMAS: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  AgentSession: {
    spec: object('What the session is.', {
      zone: text('The Zone it belongs to.'),
      application: text('Whose agent runs, as NAMESPACE.NAME.'),
      subject: SUBJECT,
      parent: text('The session that started it.'),
      delegationEdge: text('The edge by which it lives: it ends with it.'),
      lifecycle: text('`task` ends with its time, `service` with its lease.'),
      depth: whole('0 at the root.'),
      labels: texts('As the agent gave them.'),
      metadata: open('As the agent gave it.'),
      expiresAt: time('Its own end, exclusive.'),
    }),
    status: object('How it stands.', {
      state: text('`active` or `suspended`; what is over is not shown.'),
      leaseGeneration: whole('Of a service: who holds it.'),
      leaseExpiresAt: time('Of a service: until when, exclusive.'),
    }),
  },
  DelegationEdge: {
    spec: object('What was passed on.', {
      zone: text('The Zone it belongs to.'),
      issuer: text('Who passed authority on, as NAMESPACE.NAME.'),
      sourceSession: text('From which session.'),
      receiver: text('Who received it, as NAMESPACE.NAME.'),
      targetSession: text('To which session.'),
      parentEdge: text('The edge that was passed on.'),
      scopes: texts('What was passed on.'),
      resources: texts('On which Resources; none: all that the issuer reaches.'),
      hopsLeft: whole('How often it may be passed on.'),
      path: texts('Edge ids from the root to this one.'),
      expiresAt: time('Its end, exclusive.'),
    }),
    status: object('How it stands.', { state: text('`active`; what is over is not shown.') }),
  },
  StepUpChallenge: {
    spec: object('What waits for a person.', {
      zone: text('The Zone it belongs to.'),
      application: text('Who waits, as NAMESPACE.NAME.'),
      subject: SUBJECT,
      session: text('The agent session that waits.'),
      chain: texts('Every application of the chain: none of them may approve.'),
      resource: text('For which Resource.'),
      scopes: texts('For which scopes.'),
      tier: text('As policy names it.'),
      approver: text('Who may decide: `operator`, `subject` or `any`.'),
      requirements: { type: 'array', items: open('One demand of a policy.'), description: 'What policies demand.' },
      binding: text('Hex SHA-256 of everything that gives the act its meaning: a decision repeats it.'),
      expiresAt: time('Its end, exclusive.'),
    }),
    status: object('How it stands.', {
      state: text('`pending`, `approved`, `rejected`, `expired` or `consumed`.'),
      decision: object('Once it is decided.', {
        approved: flag('What was decided.'),
        by: text('By whom.'),
        reason: text('Why.'),
        at: time('When.'),
      }),
    }),
  },
  StepUpDecision: {
    decision: text('`approved` or `rejected`.'),
    binding: text('Of the challenge, as whoever decides has seen it.'),
    reason: text('Why: a rejection tells it to the requester.'),
  },
  ZoneFreeze: {
    reason: text('Why; everyone who is refused is told it.'),
    status: object('Either one holds; each is lifted where it was set.', {
      spec: open('`Zone.spec.freeze`.'),
      command: open('By command: reason, by and at.'),
    }),
  },
  AuthorityReview: {
    spec: object('The question.', {
      zone: text('The Zone.'),
      application: text('Who asks, as NAMESPACE.NAME.'),
      user: open('For which user: issuer (the name in the Zone), sub, groups and claims. None: for itself.'),
      resource: text('For which Resource, by its identifier.'),
      scopes: texts('Which scopes.'),
      operation: open('A request at its gateway: method and path.'),
      policySetRevision: text('Ask this PolicySetRevision of the namespace too.'),
    }),
    status: open('The answer: allowed, every check with its result, policies with their rules, and the Grants used.'),
  },
  AuthorityList: {
    spec: object('The question.', {
      zone: text('The Zone.'),
      application: text('Only of this application, as NAMESPACE.NAME.'),
      resource: text('Only on this Resource, by its identifier.'),
      scope: text('Only this scope.'),
    }),
    status: open('The answer: items, one for each application, subject, Resource and Grant, with what policy says.'),
  },
};

function toDocument() {
  const kinds = [...RESOURCES, ...ACTIONS].map(({ kind }) => kind);
  const nameOf = (kind: string) => `run.caracal.runtime.${VERSION_NAME}.${kind}`;
  const schemas = kinds.map((kind) => [nameOf(kind), toSchema(kind)] as const);
  const paths = RESOURCES.map(({ plural, kind }) => [
    `${BASE}/namespaces/{namespace}/${plural}/{name}`,
    {
      get: {
        'x-kubernetes-action': 'get',
        'x-kubernetes-group-version-kind': toGVK(kind),
        responses: {
          200: {
            description: 'OK',
            content: { 'application/json': { schema: { $ref: `#/components/schemas/${nameOf(kind)}` } } },
          },
        },
      },
    },
  ]);
  return {
    openapi: '3.0.0',
    info: INFO,
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(schemas) },
  };
}

function toSchema(kind: string): Schema {
  return {
    type: 'object',
    properties: {
      apiVersion: text('The group and version.'),
      kind: text('The kind.'),
      metadata: open('Name (the id), namespace (of the Zone) and labels.'),
      ...SCHEMAS[kind],
    },
    'x-kubernetes-group-version-kind': [toGVK(kind)],
  };
}

function toGVK(kind: string) {
  return { group: GROUP, version: VERSION_NAME, kind };
}

const DOCUMENT = toDocument();
const HASH = createHash('sha256').update(JSON.stringify(DOCUMENT)).digest('hex').toUpperCase();
