/** The log proves itself: a clean one raises no alarm, a falsified one always does, and says where. */
import { describe, expect, it } from 'vitest';
import { hashEntry, ROOT } from '../../src/audit/entry.ts';
import { AT, closingOf, makeLog, OURS, randomOf, THEIRS, toExport, verifyBytes } from './logs.ts';
import { MUTATIONS } from './mutations.ts';

const textsOf = (seed: number, zones?: number) => makeLog(seed, zones).map(({ text }) => text);

describe('a clean log', () => {
  it('raises no alarm, whatever is in it and however it arrives', async () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const lines = textsOf(seed, seed % 5);
      const report = await verifyBytes(toExport(lines), [OURS.verifier], 1 + seed * 13);
      expect([seed, report.alarms]).toEqual([seed, []]);
      expect(report.records + report.checkpoints).toBe(lines.length);
      expect(report.closing).toEqual({ lines: lines.length, digest: expect.any(String), zoneUID: undefined, at: AT });
    }
  });

  it('of one zone raises none either', async () => {
    const lines = makeLog(1)
      .filter(({ chain }) => chain.zoneUID === 'zone-1')
      .map(({ text }) => text);
    expect((await verifyBytes(toExport(lines, closingOf(lines, 'zone-1')))).alarms).toEqual([]);
    const asOther = await verifyBytes(toExport(lines, closingOf(lines, 'zone-2')));
    expect(asOther.alarms.map(({ reason }) => reason)).toEqual(['WrongZone']);
    const asAll = await verifyBytes(toExport(lines));
    expect(asAll.alarms.map(({ reason }) => reason)).toEqual(['CheckpointMissing']);
  });

  it('is verified with an older key beside the present one', async () => {
    const lines = textsOf(3);
    const bytes = toExport(lines, closingOf(lines, undefined, THEIRS));
    expect((await verifyBytes(bytes, [THEIRS.verifier, OURS.verifier])).alarms).toEqual([]);
    expect((await verifyBytes(bytes)).alarms[0]).toMatchObject({ reason: 'SignatureInvalid', line: lines.length + 1 });
  });
});

const ROUNDS = 40;

describe('a falsified log raises an alarm that names the place:', () => {
  for (const [name, mutate] of Object.entries(MUTATIONS)) {
    it(`${name} (${ROUNDS} times)`, async () => {
      for (let seed = 0; seed < ROUNDS; seed += 1) {
        const log = makeLog(seed, 2 + (seed % 3));
        const { bytes, names } = mutate(log, randomOf(seed + 1_000_000));
        const { alarms } = await verifyBytes(bytes);
        expect([seed, alarms[0]]).toEqual([seed, expect.objectContaining({ reason: expect.any(String) })]);
        expect([seed, alarms[0], names(alarms[0]!)]).toEqual([seed, alarms[0], true]);
      }
    });
  }
});

describe('what is no log', () => {
  const cases: Readonly<Record<string, Buffer>> = {
    'an empty file': Buffer.alloc(0),
    'a file of line feeds': Buffer.from('\n\n'),
    'other JSON': Buffer.from('{"type":"other"}\n[]\nnull\n'),
    'bytes that are no UTF-8': Buffer.from([0xff, 0xfe, 0x0a]),
    'random bytes': Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256)),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    it(`is refused: ${name}`, async () => {
      expect((await verifyBytes(bytes)).alarms.at(-1)!.reason).toBe('ExportTruncated');
    });
  }

  it('does not fill the memory with alarms', async () => {
    const { alarms } = await verifyBytes(Buffer.from('nonsense\n'.repeat(5000)));
    expect(alarms.length).toBe(101);
  });
});

describe('the hash of a record', () => {
  it('A-11 is the one that other implementations compute', () => {
    const chain = { zoneUID: 'zone-uid', writer: 'w"1' };
    // printf '["caracal.audit/1","zone-uid","w\\"1",1,"000…"]\n{"a":"é"}' | sha256sum
    expect(hashEntry(chain, 1, ROOT.hash, '{"a":"é"}')).toBe(
      '8d98ed267725a09aa5b9cfcfe2a2fff315bcb235cf6d1de1c04c9b43170e3ee4',
    );
  });
});
