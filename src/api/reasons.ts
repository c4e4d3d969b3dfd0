/** Conditions and reasons that several kinds share, each with its meaning and its fix. */
import type { ConditionDefinition, ReasonDefinition } from './kind.ts';

type Reasons = Readonly<Record<string, ReasonDefinition>>;

export const yes = (meaning: string): ReasonDefinition => ({ status: 'True', meaning, fix: 'nothing' });
export const waits = (meaning: string, fix: string): ReasonDefinition => ({ status: 'False', meaning, fix });
export const stalls = (meaning: string, fix: string): ReasonDefinition => ({
  status: 'False',
  meaning,
  fix,
  stalled: true,
});

/** Accepted, with what a kind adds to the reasons that all have. */
export function accepted(own: Reasons = {}): ConditionDefinition {
  return {
    meaning: 'True exactly when the object is in the snapshot that decides, whole.',
    reasons: {
      Accepted: yes('It is in the snapshot.'),
      ReservedName: stalls(
        'Its name begins with `caracal-sys`, or its identifier with `caracal-sys://`, outside of Caracal’s own namespace.',
        'Choose another name or identifier.',
      ),
      ...own,
    },
  };
}

/** For kinds with a zoneRef. */
export const REFERENCES: Reasons = {
  ReferenceNotPermitted: waits(
    'A reference into another namespace is missing there, not accepted there, or not permitted: all look the same.',
    'Correct the reference, or have the Zone’s `allowedNamespaces` admit this namespace.',
  ),
  ReferenceNotFound: waits(
    'What a reference names does not exist in this namespace.',
    'Create it or correct the name.',
  ),
  ReferenceNotAccepted: waits('What a reference names exists but is not accepted.', 'See its conditions and mend it.'),
  ZoneMismatch: stalls('What a reference names belongs to another Zone.', 'Refer to an object of the same Zone.'),
};

export const PROGRAMMED: ConditionDefinition = {
  meaning: 'Whether every ready STS replica serves this generation.',
  reasons: {
    Programmed: yes('Every ready replica serves it.'),
    NotAccepted: waits('It is not accepted, so there is nothing to serve.', 'See Accepted.'),
    Pending: waits('A ready replica is behind.', 'Wait a moment; if it stays, look at the STS’ log.'),
    NoReplica: {
      status: 'Unknown',
      meaning: 'No STS replica is ready, so nobody can tell.',
      fix: 'Bring the STS up.',
    },
  },
};

export const ENFORCED: ConditionDefinition = {
  meaning:
    'Whether every connected gateway that needs it has acknowledged this configuration. A gateway silent past `staleAfter` counts as enforced, since it denies.',
  reasons: {
    Enforced: yes('Every connected gateway enforces it.'),
    NoGateways: yes('No gateway is connected.'),
    Pending: waits(
      'A connected gateway has not acknowledged it.',
      'Wait a moment; if it stays, look at that gateway’s log.',
    ),
    NotProgrammed: waits('It is not programmed, so gateways cannot have it.', 'See Programmed.'),
  },
};

/** Ready, with the further True reasons of a kind. */
export function ready(own: Reasons = {}): ConditionDefinition {
  return {
    meaning:
      'Whether it is in force: copies the reason of the first condition that is False, then of one that is Unknown.',
    reasons: { Ready: yes('It is in force.'), ...own },
  };
}

/** kstatus: present only while Ready is not True, with Ready's reason. */
export const PROGRESS: Readonly<Record<string, ConditionDefinition>> = {
  Reconciling: { meaning: 'Present and True while waiting may help; its reason is that of Ready.', reasons: {} },
  Stalled: { meaning: 'Present and True while only an edit helps; its reason is that of Ready.', reasons: {} },
};
