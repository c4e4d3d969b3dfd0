/** The controller's smaller parts: versions of changes, keys of zones that are gone, metrics and health. */
import { afterEach, describe, expect, it } from 'vitest';
import type { World } from '../../src/compiler/world.ts';
import { startHealth, type HealthServer } from '../../src/controller/health.ts';
import { createControllerMetrics, METRICS } from '../../src/controller/metrics.ts';
import { createChangeTracker, covers } from '../../src/controller/versions.ts';

const EMPTY: World = {
  systemNamespace: 'caracal-system',
  namespaces: [],
  zones: [],
  applications: [],
  resources: [],
  grants: [],
  policies: [],
  policySets: [],
  policySetRevisions: [],
  revocations: [],
  keySets: new Map(),
};
const grants = (...versions: string[]): World => ({
  ...EMPTY,
  grants: versions.map((version, index) => ({
    metadata: { uid: `u${index}`, resourceVersion: version },
  })) as unknown as World['grants'],
});

describe('what a replica must have compiled', () => {
  it('is the newest object, whatever bookmarks raised the version of the source to', () => {
    const tracker = createChangeTracker();
    expect(tracker.note(grants('5', '12'), { Grant: '900', Zone: '900' })).toEqual({ Grant: '12' });
    expect(tracker.note(grants('5', '13'), { Grant: '950' })).toEqual({ Grant: '13' });
  });

  it('is the version of the source after a deletion, which leaves no object', () => {
    const tracker = createChangeTracker();
    tracker.note(grants('5', '12'), { Grant: '12' });
    expect(tracker.note(grants('5'), { Grant: '14' })).toEqual({ Grant: '14' });
    expect(tracker.note(EMPTY, { Grant: '15' })).toEqual({ Grant: '15' });
  });

  it('is covered by a replica that has come as far in every kind, compared as integers', () => {
    expect(covers({ Grant: '100', Zone: '3' }, { Grant: '99' })).toBe(true);
    expect(covers({ Grant: '99' }, { Grant: '100' })).toBe(false);
    expect(covers({}, { Grant: '1' })).toBe(false);
  });
});

describe('metrics', () => {
  it('are exactly those of the table', async () => {
    const metrics = createControllerMetrics(() => undefined);
    const registered = await metrics.registry.getMetricsAsJSON();
    const rows = METRICS.map(({ name, type, help }) => ({ name, type, help: help as string }));
    const found = registered.map(({ name, type, help }) => ({ name, type: String(type), help }));
    expect(found.sort(byName)).toEqual(rows.sort(byName));
  });
});

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

describe('health', () => {
  let server: HealthServer | undefined;
  afterEach(async () => server?.close());

  it('serves /health, /ready and /metrics, and nothing else', async () => {
    let state: { ready: boolean; reason?: string } = { ready: false, reason: 'the configuration was not read yet' };
    const { registry } = createControllerMetrics((self) =>
      self.setState({ leader: true, ready: true, lastEventAgeMs: 1500 }),
    );
    server = await startHealth('127.0.0.1:0', { ready: () => state, metrics: registry });
    const { url } = server;
    const get = async (path: string, init?: RequestInit) => {
      const response = await fetch(url + path, init);
      return [response.status, await response.text()] as const;
    };
    expect(await get('/health')).toEqual([200, '{"status":"ok"}\n']);
    expect(await get('/ready')).toEqual([503, '{"ready":false,"reason":"the configuration was not read yet"}\n']);
    state = { ready: true };
    expect(await get('/ready')).toEqual([200, '{"ready":true}\n']);
    expect((await get('/metrics'))[1]).toContain('caracal_controller_last_event_age_seconds 1.5');
    expect((await get('/else'))[0]).toBe(404);
    expect((await get('/ready', { method: 'POST' }))[0]).toBe(405);
  });

  it.each(['8081', 'localhost', '127.0.0.1:99999', ':1'])(
    'refuses to listen on %s and names the fix',
    async (listen) => {
      await expect(
        startHealth(listen, {
          ready: () => ({ ready: true }),
          metrics: createControllerMetrics(() => undefined).registry,
        }),
      ).rejects.toThrow(`--listen ${listen}: give HOST:PORT`);
    },
  );
});
