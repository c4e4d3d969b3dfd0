/** The digest of a zone: over everything that is served, and over nothing else. */
import { describe, expect, it } from 'vitest';
import { createCompiler } from '../../src/compiler/compile.ts';
import type { World } from '../../src/compiler/world.ts';
import {
  LIMITS,
  NOW,
  application,
  at,
  grant,
  policy,
  policySet,
  resource,
  results,
  revision,
  shop,
  standbyKey,
  verificationKey,
  zone,
} from './world.ts';

const { keys } = zone().spec;
const keySets = (...list: ReturnType<typeof verificationKey>[]): Partial<World> => ({
  keySets: new Map([['uid-shop-main', { ok: true, keys: list }]]),
});

const changes: Readonly<Record<string, Partial<World>>> = {
  'the UID of the Zone': {
    zones: [zone({}, { uid: 'second' })],
    keySets: new Map([['second', { ok: true, keys: [verificationKey('k1')] }]]),
  },
  'a freeze': { zones: [zone({ freeze: { reason: 'x' } })] },
  'a lifetime': { zones: [zone({ tokens: { mandateTTL: '4m', sessionTTL: '60m' } })] },
  'a limit': { zones: [zone({ limits: { ...LIMITS, mintsPerMinute: 7 } })] },
  'a limit of agent sessions': { zones: [zone({ limits: { ...LIMITS, children: 7 } })] },
  'a setting of step-ups': { zones: [zone({ stepUp: { ...zone().spec.stepUp, allowServiceAccounts: true } })] },
  'the staleness': { zones: [zone({ enforcement: { staleAfter: '5s' } })] },
  'a subject issuer': {
    zones: [zone({ subjectIssuers: [{ name: 'corp', issuer: 'https://id', jwksURL: 'https://id/jwks' }] })],
  },
  'a new key': keySets(verificationKey('k1'), standbyKey('k2')),
  'a key that begins to sign': keySets(verificationKey('k1', NOW - 2000)),
  'a revoked key': { zones: [zone({ keys: { ...keys, revoke: ['k1'] } })] },
  'an unreadable key set': { keySets: new Map([['uid-shop-main', { ok: false, message: 'x' }]]) },
  'another revision': { policySetRevisions: [revision(1), revision(2)] },
  'no policy': { policySetRevisions: [] },
  'an identity': { applications: [application({ identities: [{ serviceAccount: { name: 'other' } }] })] },
  'the end of an Application': { applications: [application({ expiresAt: at(60) })] },
  'who may receive from an Application': { applications: [application({ delegation: { receivers: 'Zone' } })] },
  'how far a Grant travels': { grants: [grant({ delegation: 'None' })] },
  'whether mandates are forwarded': { resources: [resource({ forwardMandate: true })] },
  'the form of mandates': { resources: [resource({ mandate: { singleUse: true, proofOfPossession: 'Optional' } })] },
  'an operation': { resources: [resource({ operations: [{ methods: ['GET'], path: '/', scopes: ['read'] }] })] },
  'an upstream': { resources: [resource({ upstream: { url: 'https://up' } })] },
  'who protects a Resource': { resources: [resource({ protectedBy: [{ serviceAccount: 'gw' }] })] },
  'a scope of a Grant': { grants: [grant({ scopes: ['write'] })] },
  'a re-created Grant': { grants: [grant({}, { uid: 'second' })] },
  'a second Grant': { grants: [grant(), grant({}, { name: 'h' })] },
};

const silent: Readonly<Record<string, Partial<World>>> = {
  'other references of the same objects': {},
  'a display name': { zones: [zone({ displayName: 'Shop' })] },
  'when the next key is due': { zones: [zone({ keys: { ...keys, rotateEvery: '24h' } })] },
  'a refused object': { grants: [grant(), grant({ scopes: ['nope'] }, { name: 'h' })] },
  'a Policy that is not in a revision yet': { policies: [policy({ rego: 'package caracal.policy.allow\n' })] },
  'a shorter history': { policySets: [policySet({ historyLimit: 3 })] },
};

function afterChange(objects: Partial<World>) {
  const compiler = createCompiler();
  const zoneOf = (world: World) => compiler.compile(world, NOW, results()).snapshot.zones.get('shop.main')!;
  return [zoneOf(shop()), zoneOf(shop(objects))] as const;
}

describe('the digest of a zone', () => {
  it.each(Object.entries(changes))('changes with %s', (_name, objects) => {
    const [before, after] = afterChange(objects);
    expect(after).not.toBe(before);
    expect(after.digest).not.toBe(before.digest);
  });

  it.each(Object.entries(silent))('stays with %s, and so does the reference', (_name, objects) => {
    const [before, after] = afterChange(objects);
    expect(after).toBe(before);
  });
});
