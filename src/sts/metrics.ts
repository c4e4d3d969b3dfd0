/** The STS' Prometheus metrics: one table, from which the registry and the reference are made. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export const METRICS = [
  {
    name: 'caracal_sts_exchanges_total',
    type: 'counter',
    help: 'Token exchanges, by outcome: `issued` or the wire’s error code.',
    labels: ['outcome'],
  },
  {
    name: 'caracal_sts_exchange_seconds',
    type: 'histogram',
    help: 'Time from a parsed request to its answer, in seconds.',
    labels: [],
  },
  {
    name: 'caracal_sts_refusals_unrecorded_total',
    type: 'counter',
    help: 'Refusals that are in the log only: no such zone, or more than the budget of records.',
    labels: [],
  },
  {
    name: 'caracal_sts_revalidations_total',
    type: 'counter',
    help: 'Mandates that gateways asked about, by `valid`.',
    labels: ['valid'],
  },
  {
    name: 'caracal_sts_consumptions_total',
    type: 'counter',
    help: 'Mandates of single use that gateways asked to spend, by `consumed`.',
    labels: ['consumed'],
  },
  { name: 'caracal_sts_feed_streams', type: 'gauge', help: 'Gateways connected to this replica’s feed.', labels: [] },
  { name: 'caracal_sts_zones', type: 'gauge', help: 'Zones served.', labels: [] },
  {
    name: 'caracal_sts_configuration_age_seconds',
    type: 'gauge',
    help: 'Seconds since the configuration’s origin was last heard from; grows while the API server is gone.',
    labels: [],
  },
] as const satisfies readonly MetricDefinition[];

type MetricName = (typeof METRICS)[number]['name'];

export interface STSMetrics {
  exchanged(outcome: string, seconds: number): void;
  unrecorded(): void;
  revalidated(valid: boolean): void;
  consumed(consumed: boolean): void;
  text(): Promise<string>;
}

export interface MetricSources {
  streams(): number;
  zones(): number;
  configurationAgeSeconds(): number;
}

const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function createMetrics(sources: MetricSources): STSMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const define = (name: MetricName) => {
    const { help, labels } = METRICS.find((metric) => metric.name === name)!;
    return { name, help, labelNames: [...labels], registers: [registry] };
  };
  const exchanges = new Counter<string>(define('caracal_sts_exchanges_total'));
  const seconds = new Histogram<string>({ ...define('caracal_sts_exchange_seconds'), buckets: BUCKETS });
  const unrecorded = new Counter<string>(define('caracal_sts_refusals_unrecorded_total'));
  const revalidations = new Counter<string>(define('caracal_sts_revalidations_total'));
  const consumptions = new Counter<string>(define('caracal_sts_consumptions_total'));
  const observe = (name: MetricName, read: () => number) =>
    new Gauge<string>({
      ...define(name),
      collect() {
        this.set(read());
      },
    });
  observe('caracal_sts_feed_streams', sources.streams);
  observe('caracal_sts_zones', sources.zones);
  observe('caracal_sts_configuration_age_seconds', sources.configurationAgeSeconds);
  return {
    exchanged(outcome, elapsed) {
      exchanges.inc({ outcome });
      seconds.observe(elapsed);
    },
    unrecorded: () => unrecorded.inc(),
    revalidated: (valid) => revalidations.inc({ valid: String(valid) }),
    consumed: (consumed) => consumptions.inc({ consumed: String(consumed) }),
    text: () => registry.metrics(),
  };
}
