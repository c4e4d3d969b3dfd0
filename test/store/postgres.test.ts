/** What PostgreSQL does as every store, and for several replicas at once. */
import { describe, expect, it } from 'vitest';
import { describeConformance } from './conformance/suite.ts';
import { postgresPlace } from './postgresPlace.ts';

describeConformance({ name: 'PostgreSQL', place: () => postgresPlace() });

describe('x', () => it('y', () => expect(1).toBe(1)));
