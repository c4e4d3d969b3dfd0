/** The demo's story: each step sends real requests and says what must come back. */
import type { Environment } from './environment.ts';
import type { IdentityProvider } from './identityProvider.ts';
import { decodePayload, detail, note, title } from './print.ts';
import { until } from './processes.ts';
import { createTeller } from './teller.ts';
import { ACCESS_TOKEN, ID_TOKEN, call, exchange, type Answer } from './wire.ts';

const ORDERS = 'resource://orders';
const AUDIENCE = 'shop-assistant';

/** Returns how many expectations did not hold. */
export async function tell(world: Environment, users: IdentityProvider): Promise<number> {
  const { expect, show, differences } = createTeller();

  title('1. A call without a mandate');
  const bare = show(await call(world, 'GET', '/orders'));
  expect('refused: 401 missing_token', bare.status === 401 && bare.body['error'] === 'missing_token');

  title('2. The agent exchanges its ServiceAccount token for a mandate: no secret anywhere');
  const minted = show(await exchange(world, { resource: ORDERS, scope: 'orders:read' }));
  const mandate = String(minted.body['access_token']);
  expect('200 with a mandate', minted.status === 200);
  if (minted.status === 200) detail(JSON.stringify(decodePayload(mandate), null, 2));

  title('3. The same call with the mandate');
  const allowed = show(await call(world, 'GET', '/orders', mandate));
  expect('200 from the service', allowed.status === 200 && 'orders' in allowed.body);

  title('4. A call outside the mandate’s scopes');
  const outside = show(await call(world, 'POST', '/orders', mandate));
  expect('refused: 403 insufficient_scope', outside.status === 403 && outside.body['error'] === 'insufficient_scope');

  title('5. An exchange beyond the Grant');
  const beyond = show(await exchange(world, { resource: ORDERS, scope: 'orders:refund' }));
  expect('refused: 403, reason ScopeNotGranted', beyond.status === 403 && beyond.body['reason'] === 'ScopeNotGranted');

  title('6. Granted, but policy says no');
  const denied = show(await exchange(world, { resource: ORDERS, scope: 'orders:write' }));
  const says = String(denied.body['error_description']).includes('placing orders needs a signed-in user');
  expect(
    'refused: 403, reason PolicyDenied, in the policy’s own words',
    denied.body['reason'] === 'PolicyDenied' && says,
  );

  title('7. Alice (group support) signs in: the agent acts for her');
  const alice = await signIn(world, users, { sub: 'alice', groups: ['support'] });
  show(alice);
  const onBehalf = { subject_token: String(alice.body['access_token']), subject_token_type: ACCESS_TOKEN };
  const refund = show(await exchange(world, { ...onBehalf, resource: ORDERS, scope: 'orders:refund' }));
  expect(
    'a refund mandate, two minutes as policy says',
    refund.status === 200 && Number(refund.body['expires_in']) <= 120,
  );
  const refunded = show(await call(world, 'POST', '/orders/42/refund', String(refund.body['access_token'])));
  expect(
    '200, and the service knows for whom',
    refunded.status === 200 && JSON.stringify(refunded.body).includes('corp:alice'),
  );

  title('8. Bob (group sales) signs in: the same Grant is not his');
  const bob = await signIn(world, users, { sub: 'bob', groups: ['sales'] });
  const forBob = { subject_token: String(bob.body['access_token']), subject_token_type: ACCESS_TOKEN };
  const refused = show(await exchange(world, { ...forBob, resource: ORDERS, scope: 'orders:refund' }));
  expect(
    'refused: 403, reason ScopeNotGranted',
    refused.status === 403 && refused.body['reason'] === 'ScopeNotGranted',
  );

  title('9. The Grant is deleted: the mandate of step 2 has minutes to live, and is dead now');
  const before = await call(world, 'GET', '/orders', mandate);
  expect('still 200 before', before.status === 200);
  note(`$ ${world.deleteGrantCommand}`);
  await world.deleteGrant();
  const took = await until(
    'the refusal',
    async () => (await call(world, 'GET', '/orders', mandate)).status !== 200,
    5000,
  );
  const after = show(await call(world, 'GET', '/orders', mandate));
  expect(`the same mandate refused ${took.toFixed(0)} ms after the deletion`, after.status === 401 && took < 1000);
  return differences();
}

async function signIn(
  world: Environment,
  users: IdentityProvider,
  user: { sub: string; groups: string[] },
): Promise<Answer> {
  const token = await users.signIn(user, AUDIENCE);
  return exchange(world, { subject_token: token, subject_token_type: ID_TOKEN });
}
