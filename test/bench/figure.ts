/** Figures: medians, spreads and ratios, one JSON line each. */

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

const round = (value: number) => Number(value.toPrecision(4));

export interface Pair {
  readonly ours: number;
  readonly peer: number;
}

export interface Ratio {
  /** Row of the budget. */
  readonly row: number;
  readonly figure: string;
  readonly peer: string;
  readonly unit: string;
  /** The budget: the median ratio may be at most this. */
  readonly must: number;
}

/** A ratio against a peer measured in the same run, pair by pair. */
export function printRatio({ row, figure, peer, unit, must }: Ratio, pairs: readonly Pair[]): void {
  const ratios = pairs.map(({ ours, peer: other }) => ours / other);
  print({
    row,
    figure,
    unit,
    ours: round(median(pairs.map(({ ours }) => ours))),
    peer,
    peer_value: round(median(pairs.map(({ peer: other }) => other))),
    ratio: round(median(ratios)),
    spread: [round(Math.min(...ratios)), round(Math.max(...ratios))],
    pairs: pairs.length,
    must: `<= ${must}`,
    met: median(ratios) <= must,
  });
}

export function print(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function say(message: string): void {
  process.stderr.write(`bench: ${message}\n`);
}

const WARM_UPS = 4;

/** Until both have compiled what they run. */
export async function warmUp(...measures: readonly (() => Promise<number>)[]): Promise<void> {
  for (let round = 0; round < WARM_UPS; round += 1) for (const measure of measures) await measure();
}

/** ours, peer, peer, ours: drift of the machine's speed falls on both alike. */
export async function abba(rounds: number, ours: () => Promise<number>, peer: () => Promise<number>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const first = await ours();
    const other = await peer();
    const again = await peer();
    pairs.push({ ours: first, peer: other }, { ours: await ours(), peer: again });
  }
  return pairs;
}
