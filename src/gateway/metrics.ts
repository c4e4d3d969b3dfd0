/** The gateway's metrics: one table, and their text (Prometheus exposition format 0.0.4). */

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
}

export const METRICS = [
  {
    name: 'caracal_gateway_requests_total',
    type: 'counter',
    help: 'Requests, by outcome: `forwarded` or the refusal’s error code.',
    labels: ['outcome'],
  },
  { name: 'caracal_gateway_requests_active', type: 'gauge', help: 'Requests being forwarded now.', labels: [] },
  {
    name: 'caracal_gateway_streams_cut_total',
    type: 'counter',
    help: 'Requests cut because their mandate ended.',
    labels: [],
  },
  {
    name: 'caracal_gateway_revalidations_total',
    type: 'counter',
    help: 'Mandates asked about at the STS, by result.',
    labels: ['result'],
  },
  {
    name: 'caracal_gateway_consumptions_total',
    type: 'counter',
    help: 'Mandates of single use that the STS was asked to spend, by result.',
    labels: ['result'],
  },
  {
    name: 'caracal_gateway_feed_age_seconds',
    type: 'gauge',
    help: 'Seconds since freshness was proved, per zone.',
    labels: ['zone'],
  },
  {
    name: 'caracal_gateway_feed_connections_total',
    type: 'counter',
    help: 'Feed streams opened, per zone.',
    labels: ['zone'],
  },
  {
    name: 'caracal_gateway_verified_hits_total',
    type: 'counter',
    help: 'Mandates found among those verified before.',
    labels: [],
  },
  {
    name: 'caracal_gateway_records_delivered_total',
    type: 'counter',
    help: 'Records of requests that the STS stored, per zone.',
    labels: ['zone'],
  },
  {
    name: 'caracal_gateway_records_waiting_bytes',
    type: 'gauge',
    help: 'Records of requests that wait for the STS, per zone: at the bound requests are denied.',
    labels: ['zone'],
  },
] as const satisfies readonly MetricDefinition[];

export type MetricName = (typeof METRICS)[number]['name'];

export interface GatewayMetrics {
  count(name: MetricName, label?: string, by?: number): void;
  /** Read when the text is made. */
  gauge(name: MetricName, read: () => number, label?: string): void;
  text(): string;
}

export function createGatewayMetrics(): GatewayMetrics {
  const counters = new Map<MetricName, Map<string, number>>();
  const gauges = new Map<MetricName, Map<string, () => number>>();
  return {
    count(name, label = '', by = 1) {
      let values = counters.get(name);
      if (!values) counters.set(name, (values = new Map()));
      values.set(label, (values.get(label) ?? 0) + by);
    },
    gauge(name, read, label = '') {
      const reads = gauges.get(name) ?? new Map<string, () => number>();
      gauges.set(name, reads.set(label, read));
    },
    text: () => METRICS.map((metric) => toText(metric, counters.get(metric.name), gauges.get(metric.name))).join(''),
  };
}

function toText(
  { name, type, help, labels }: MetricDefinition,
  counted: ReadonlyMap<string, number> | undefined,
  read: ReadonlyMap<string, () => number> | undefined,
): string {
  const values = [...(counted ?? []), ...[...(read ?? [])].map(([label, value]) => [label, value()] as const)];
  const lines = values.map(
    ([label, value]) =>
      `${name}${labels[0] === undefined ? '' : `{${labels[0]}="${label}"}`} ${Number.isFinite(value) ? value : '+Inf'}\n`,
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
