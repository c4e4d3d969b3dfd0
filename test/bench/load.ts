/** A closed-loop load: so many requests, so many in flight, every answer counted. */
import { Pool, type Dispatcher } from 'undici';

export interface LoadRequest {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers outside 2xx, by status. */
  readonly failures: Readonly<Record<string, number>>;
  /** Milliseconds, ascending. */
  readonly latencies: readonly number[];
}

export interface LoadOptions {
  readonly origin: string;
  readonly requests: number;
  readonly concurrency: number;
  /** The i-th request. */
  readonly request: (index: number) => LoadRequest;
}

export async function load({ origin, requests, concurrency, request }: LoadOptions): Promise<LoadResult> {
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const failures: Record<string, number> = {};
  const latencies: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < requests; index = next++) {
      const started = performance.now();
      const { statusCode, body } = await pool.request(request(index) as Dispatcher.RequestOptions);
      await body.dump();
      latencies.push(performance.now() - started);
      if (statusCode < 200 || statusCode > 299) failures[statusCode] = (failures[statusCode] ?? 0) + 1;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const seconds = (performance.now() - started) / 1000;
  await pool.close();
  return { requests, seconds, failures, latencies: latencies.sort((a, b) => a - b) };
}
