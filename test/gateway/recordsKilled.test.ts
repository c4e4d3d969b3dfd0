/** A gateway that is killed again and again loses no record that it had spooled, and none comes to stand twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { AuditBatch } from '../../src/authority/gatewayRecords.ts';
import { freePort } from '../support/ports.ts';
import { newPair, signParts, startFakeSTS, ZONE, type FakeSTS } from './sts.ts';
import { ORDERS, startUpstream, until } from './world.ts';

const GATEWAY = join(import.meta.dirname, '../../dist/gateway.mjs');
const ROUNDS = 8;

function tokenFile(folder: string, sts: FakeSTS): string {
  const claims = { aud: [`${sts.url}/zones/${ZONE}/gateways`], exp: 4_000_000_000 };
  const file = join(folder, 'token');
  writeFileSync(file, signParts({ alg: 'ES256', kid: 'sa' }, claims, newPair('sa')));
  return file;
}

/** Lines of the spool that are whole: what is on the disk. */
function spooled(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => (JSON.parse(line) as { request_id: string }).request_id);
}

describe('a gateway that is killed', () => {
  it('A-07 loses no record that it had spooled, and delivers each batch the same however often', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'caracal-killed-'));
    const [sts, upstream] = [await startFakeSTS([ORDERS], Date.now), await startUpstream()];
    onTestFinished(async () => {
      await Promise.all([sts.close(), upstream.close()]);
      rmSync(folder, { recursive: true, force: true });
    });
    const [port, admin, spool] = [await freePort(), await freePort(), join(folder, 'spool')];
    const args = [
      ...['--token-file', tokenFile(folder, sts), '--admin', `127.0.0.1:${admin}`, '--log-level', 'error'],
      ...['--protect', `team/orders=127.0.0.1:${port}:127.0.0.1:${upstream.port}`, '--spool', spool],
    ];
    const begin = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, [GATEWAY, ...args], { stdio: 'ignore' });
      onTestFinished(() => void child.kill('SIGKILL'));
      await until(() =>
        fetch(`http://127.0.0.1:${admin}/ready`).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      return child;
    };
    const authorization = `Bearer ${sts.mint()}`;
    const ask = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${port}/orders`, { headers: { authorization } });
      await answer.text();
      return answer.headers.get('x-request-id')!;
    };
    const delivered = () => sts.batches.flatMap(({ requests }) => requests.map(({ request_id }) => request_id));
    const kept = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const child = await begin();
      // Answers that are lost, an STS that is away, and one that takes everything, by turns.
      sts.state.auditStatus = [0, 503, 204][round % 3]!;
      const ids = await Promise.all(Array.from({ length: 30 }, ask));
      await until(() => {
        const there = new Set([...spooled(join(spool, ZONE)), ...delivered()]);
        return ids.every((id) => there.has(id));
      });
      for (const id of ids) kept.add(id);
      const more = Array.from({ length: 30 }, () => ask().catch(() => ''));
      await Promise.race(more);
      child.kill('SIGKILL');
      await Promise.all([once(child, 'exit'), ...more]);
      for (const id of spooled(join(spool, ZONE))) kept.add(id);
    }
    sts.state.auditStatus = 204;
    await begin();
    await until(() => spooled(join(spool, ZONE)).length === 0);
    const byName = Map.groupBy(sts.batches, ({ spool: life, sequence }: AuditBatch) => `${life} ${sequence}`);
    for (const same of byName.values()) expect(new Set(same.map((batch) => JSON.stringify(batch))).size).toBe(1);
    const stored = [...byName.values()].flatMap(([batch]) => batch!.requests.map(({ request_id }) => request_id));
    expect(stored.length).toBe(new Set(stored).size);
    expect([...kept].filter((id) => !stored.includes(id))).toEqual([]);
    expect(kept.size).toBeGreaterThanOrEqual(30 * ROUNDS);
  });
});
