/** The policy input: total, with typed nulls, and as policies/input.schema.json says. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { checkExchange } from '../../src/authority/checks.ts';
import type { ExchangeRequest } from '../../src/authority/decision.ts';
import { toPolicyTime } from '../../src/authority/input.ts';
import type { PolicyInput } from '../../src/authority/policyInput.ts';
import { NOW, PAYMENTS, grant, isChecked, login, request, user, zone } from './zone.ts';

type Schema = Parameters<typeof z.fromJSONSchema>[0];
interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
}

/** OPA reads the schema; here every property it names is required too, which is what total means. */
function toTotal(node: Node): Node {
  const { properties, items, anyOf } = node;
  return {
    ...node,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, member]) => [name, toTotal(member)])),
      required: Object.keys(properties),
    }),
    ...(items && { items: toTotal(items) }),
    ...(anyOf && { anyOf: anyOf.map(toTotal) }),
  };
}

const text = readFileSync(new URL('../../policies/input.schema.json', import.meta.url), 'utf8');
const schema = z.fromJSONSchema(toTotal(JSON.parse(text) as Node) as Schema);

const subjects = [
  { type: 'application' },
  { type: 'anyUser' },
  { type: 'group', issuer: 'corp', group: 'staff' },
] as const;
const grants = [grant({ scopes: ['read', 'write'], subjects })];

function inputsOf(asked: ExchangeRequest): readonly PolicyInput[] {
  const result = checkExchange(zone({ grants }), asked, NOW);
  if (!isChecked(result)) throw new Error(result.message);
  return result.inputs;
}

const bare = { ...request().principal, credential: 'clientSecret', workload: null } as const;
const forms: Readonly<Record<string, ExchangeRequest>> = {
  'an application in a pod': request(),
  'an application with a client secret': request({ principal: bare }),
  'a user': request({ subject: user({ groups: ['staff'], claims: { dept: 'x', n: 1 }, acr: 'mfa', amr: ['otp'] }) }),
  'a user whose token says little': request({ subject: user({ auth_time: null }) }),
  'a login': login(),
  'a login of a user': login({ subject: user() }),
};

describe('the policy input', () => {
  it.each(Object.entries(forms))('P-11 of %s is total and as the schema says', (_name, asked) => {
    for (const input of inputsOf(asked)) {
      expect(schema.safeParse(input)).toMatchObject({ success: true });
      expect(JSON.parse(JSON.stringify(input))).toEqual(input);
    }
  });

  it('the schema refuses an input without one of its members and one with another', () => {
    const [input] = inputsOf(request());
    for (const name of Object.keys(input!)) {
      const rest: Record<string, unknown> = { ...input };
      delete rest[name];
      expect([name, schema.safeParse(rest).success]).toEqual([name, false]);
    }
    expect(schema.safeParse({ ...input, extra: 1 }).success).toBe(false);
  });

  it('is one per scope, in the order of the request, alike in all but the scope', () => {
    const inputs = inputsOf(request({ scopes: ['write', 'read'], ttlSeconds: 60 }));
    expect(inputs.map(({ scope }) => scope)).toEqual(['write', 'read']);
    expect({ ...inputs[0], scope: '' }).toEqual({ ...inputs[1], scope: '' });
  });

  it('says of an exchange exactly this', () => {
    expect(inputsOf(request({ ttlSeconds: 60 }))).toEqual([
      {
        schema: 'caracal.run/policy-input/v1',
        zone: { id: 'shop.main' },
        scope: 'read',
        action: { name: 'token_exchange' },
        principal: {
          id: 'shop.cart',
          namespace: 'shop',
          name: 'cart',
          credential: 'serviceAccount',
          workload: { namespace: 'shop', service_account: 'cart', service_account_uid: 'sa-uid', pod: 'cart-0' },
          key_bound: false,
        },
        root: { id: 'shop.cart', namespace: 'shop', name: 'cart' },
        subject: {
          type: 'application',
          issuer: '',
          sub: 'shop.cart',
          groups: [],
          claims: {},
          auth_time: null,
          acr: null,
          amr: [],
        },
        session: null,
        delegation: null,
        resource: {
          identifier: PAYMENTS,
          namespace: 'shop',
          name: 'payments',
          type: 'HTTP',
          scopes: ['read', 'write', 'refund'],
        },
        request: { scopes: ['read'], ttl_seconds: 60, use: 'resource' },
        grants: [
          {
            namespace: 'shop',
            name: 'g',
            scopes: ['read', 'write'],
            subject: { type: 'application', issuer: null, value: null },
          },
        ],
        time: { unix: NOW / 1000, rfc3339: '2026-01-01T00:00:00Z', weekday: 'Thursday', hour: 0, minute: 0 },
      },
    ]);
  });

  it('says of a login: no resource, no scope, no Grants', () => {
    const [input] = inputsOf(login({ scopes: ['agent:lifecycle'] }));
    expect(input).toMatchObject({
      scope: '',
      action: { name: 'session' },
      resource: null,
      request: { scopes: ['agent:lifecycle'], ttl_seconds: 3600, use: 'session' },
      grants: [],
    });
  });
});

describe('toPolicyTime', () => {
  it('reads whole seconds in UTC, whatever the time zone of the machine', () => {
    expect(toPolicyTime(Date.UTC(2026, 1, 28, 23, 59, 59, 999))).toEqual({
      unix: Date.UTC(2026, 1, 28, 23, 59, 59) / 1000,
      rfc3339: '2026-02-28T23:59:59Z',
      weekday: 'Saturday',
      hour: 23,
      minute: 59,
    });
  });

  it('its members always agree', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (now) => {
        const time = toPolicyTime(now);
        expect(Date.parse(time.rfc3339)).toBe(time.unix * 1000);
        expect(new Date(time.rfc3339).getUTCHours()).toBe(time.hour);
        expect(new Intl.DateTimeFormat('en', { weekday: 'long', timeZone: 'UTC' }).format(time.unix * 1000)).toBe(
          time.weekday,
        );
      }),
    );
  });
});
