/** The deterministic id of one login, so that revoking it stops the instance and not one token. */
import { hash as digest } from 'node:crypto';

/**
 * A UUIDv8 (RFC 9562 §5.8) over the tuple: the same instance of the same credential of the same Application always
 * has the same id; a re-created Zone or Application (another UID) never has. `instance` is what authentication found:
 * pod UID, key thumbprint, secret digest, or for a user's login the login's own identity.
 */
export function authorityRecordID(zoneUID: string, applicationUID: string, instance: string): string {
  const tuple = JSON.stringify(['caracal.run/authority-record/v1', zoneUID, applicationUID, instance]);
  const bytes = digest('sha256', tuple, 'buffer').subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
