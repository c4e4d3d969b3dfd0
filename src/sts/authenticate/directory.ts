/** Which Application of a zone an identity belongs to: an index per snapshot, by unambiguous keys. */
import type { ApplicationEntry, ApplicationIdentity, ZoneSnapshot } from '../../authority/snapshot.ts';

type OIDCIdentity = Extract<ApplicationIdentity, { type: 'oidc' }>;

export interface OIDCMatch {
  readonly application: ApplicationEntry;
  readonly identity: OIDCIdentity;
}

interface Index {
  readonly serviceAccounts: ReadonlyMap<string, ApplicationEntry>;
  readonly oidc: ReadonlyMap<string, OIDCMatch>;
}

const indexes = new WeakMap<ZoneSnapshot, Index>();

export function findByServiceAccount(
  zone: ZoneSnapshot,
  namespace: string,
  name: string,
): ApplicationEntry | undefined {
  return indexOf(zone).serviceAccounts.get(JSON.stringify([namespace, name]));
}

export function findByOIDC(zone: ZoneSnapshot, issuer: string, subject: string): OIDCMatch | undefined {
  return indexOf(zone).oidc.get(JSON.stringify([issuer, subject]));
}

/** True where some Application of the zone trusts workload tokens of this issuer. */
export function trustsIssuer(zone: ZoneSnapshot, issuer: string): boolean {
  for (const { identity } of indexOf(zone).oidc.values()) if (identity.issuer === issuer) return true;
  return false;
}

function indexOf(zone: ZoneSnapshot): Index {
  const known = indexes.get(zone);
  if (known) return known;
  const made = toIndex(zone);
  indexes.set(zone, made);
  return made;
}

function toIndex(zone: ZoneSnapshot): Index {
  const serviceAccounts = new Map<string, ApplicationEntry>();
  const oidc = new Map<string, OIDCMatch>();
  for (const application of zone.applications.values()) {
    for (const identity of application.identities) {
      if (identity.type === 'serviceAccount') {
        serviceAccounts.set(JSON.stringify([identity.namespace, identity.name]), application);
      } else if (identity.type === 'oidc') {
        oidc.set(JSON.stringify([identity.issuer, identity.subject]), { application, identity });
      }
    }
  }
  return { serviceAccounts, oidc };
}
