/** The controller's metrics: one table of names and meanings, and the registry that holds their values. */
import type { Verdict } from '../compiler/verdict.ts';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricRow {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export const METRICS = [
  {
    name: 'caracal_controller_leader',
    type: 'gauge',
    help: 'Whether this process holds the Lease (1) or stands by (0).',
    labels: [],
  },
  {
    name: 'caracal_controller_ready',
    type: 'gauge',
    help: 'Whether the configuration was read and its watches are heard (1) or not (0).',
    labels: [],
  },
  {
    name: 'caracal_controller_last_event_age_seconds',
    type: 'gauge',
    help: 'Seconds since the quietest watch was last heard.',
    labels: [],
  },
  {
    name: 'caracal_controller_round_seconds',
    type: 'histogram',
    help: 'Seconds of one round of the loop, by what it did: compile, or only report.',
    labels: ['round'],
  },
  {
    name: 'caracal_controller_round_failures_total',
    type: 'counter',
    help: 'Rounds that ended in an error and are tried again.',
    labels: [],
  },
  {
    name: 'caracal_controller_writes_total',
    type: 'counter',
    help: 'Writes by what was written (revision, revocation, keys, status, event) and result (ok, conflict, error).',
    labels: ['what', 'result'],
  },
  {
    name: 'caracal_controller_observations_total',
    type: 'counter',
    help: 'Questions to all ready STS replicas, by result (ok, error).',
    labels: ['result'],
  },
  {
    name: 'caracal_controller_replicas',
    type: 'gauge',
    help: 'Ready STS replicas that answered the last question.',
    labels: [],
  },
  {
    name: 'caracal_controller_objects',
    type: 'gauge',
    help: 'Objects by kind and by the verdict on them: accepted, or refused.',
    labels: ['kind', 'verdict'],
  },
  {
    name: 'caracal_controller_programmed_seconds',
    type: 'histogram',
    help: 'Seconds from a new verdict to the sight of every ready STS replica serving it.',
    labels: [],
  },
] as const satisfies readonly MetricRow[];

type MetricName = (typeof METRICS)[number]['name'];
type WriteKind = 'revision' | 'revocation' | 'keys' | 'status' | 'event';

export interface ControllerMetrics {
  readonly registry: Registry;
  setState(state: { readonly leader: boolean; readonly ready: boolean; readonly lastEventAgeMs: number }): void;
  round(kind: 'compile' | 'report', ms: number): void;
  roundFailed(): void;
  write(what: WriteKind, result: 'ok' | 'conflict' | 'error'): void;
  observed(replicas: number | undefined): void;
  objects(verdicts: Iterable<Verdict>): void;
  programmed(ms: number): void;
}

const BUCKETS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

/** `beforeScrape` is asked to bring the gauges of the present state up to date. */
export function createControllerMetrics(beforeScrape: (metrics: ControllerMetrics) => void): ControllerMetrics {
  const registry = new Registry();
  const row = (name: MetricName) => {
    const { help, labels } = METRICS.find((candidate) => candidate.name === name) as MetricRow;
    return { name, help, labelNames: [...labels], registers: [registry] };
  };
  const leader = new Gauge({ ...row('caracal_controller_leader'), collect: () => beforeScrape(metrics) });
  const ready = new Gauge(row('caracal_controller_ready'));
  const age = new Gauge(row('caracal_controller_last_event_age_seconds'));
  const rounds = new Histogram({ ...row('caracal_controller_round_seconds'), buckets: BUCKETS });
  const failures = new Counter(row('caracal_controller_round_failures_total'));
  const writes = new Counter(row('caracal_controller_writes_total'));
  const observations = new Counter(row('caracal_controller_observations_total'));
  const replicas = new Gauge(row('caracal_controller_replicas'));
  const objects = new Gauge(row('caracal_controller_objects'));
  const programmed = new Histogram({ ...row('caracal_controller_programmed_seconds'), buckets: BUCKETS });
  const metrics: ControllerMetrics = {
    registry,
    setState(state) {
      leader.set(state.leader ? 1 : 0);
      ready.set(state.ready ? 1 : 0);
      age.set(Number.isFinite(state.lastEventAgeMs) ? state.lastEventAgeMs / 1000 : 0);
    },
    round: (kind, ms) => rounds.observe({ round: kind }, ms / 1000),
    roundFailed: () => failures.inc(),
    write: (what, result) => writes.inc({ what, result }),
    observed(count) {
      observations.inc({ result: count === undefined ? 'error' : 'ok' });
      replicas.set(count ?? 0);
    },
    objects(verdicts) {
      objects.reset();
      for (const { kind, conditions } of verdicts) {
        const isRefused = conditions.some(({ type, status }) => type === 'Accepted' && status === 'False');
        objects.inc({ kind, verdict: isRefused ? 'refused' : 'accepted' });
      }
    },
    programmed: (ms) => programmed.observe(ms / 1000),
  };
  return metrics;
}
