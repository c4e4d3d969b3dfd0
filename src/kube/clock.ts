/** Time as watches and the Lease need it: the shape of authority's Clock, which this folder may not import. */

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Monotonic milliseconds, for ages and deadlines. */
  monotonic(): number;
}
