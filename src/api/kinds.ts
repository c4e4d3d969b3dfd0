/** All kinds, in the order in which they build on each other. */
import { application } from './application.ts';
import { grant } from './grant.ts';
import type { KindDefinition } from './kind.ts';
import { policy } from './policy.ts';
import { policySet } from './policySet.ts';
import { policySetRevision } from './policySetRevision.ts';
import { resource } from './resource.ts';
import { revocation } from './revocation.ts';
import { zone } from './zone.ts';

export const KINDS: readonly KindDefinition[] = [
  zone,
  application,
  resource,
  grant,
  policy,
  policySet,
  policySetRevision,
  revocation,
];
