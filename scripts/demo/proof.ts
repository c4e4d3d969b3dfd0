/** The log of all that happened: exported, proved with nothing but its public key, and a copy caught that was tampered with. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detail, note } from './print.ts';
import { caracal, runCaracal } from './processes.ts';
import type { Teller } from './teller.ts';

interface Tampering {
  readonly zoneID: string;
  /** In one record the first name becomes the second. */
  readonly chain: readonly [from: string, to: string];
}

export async function proveLog(data: string, { zoneID, chain }: Tampering, { expect }: Teller): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-proof-'));
  const file = (name: string) => join(folder, name);
  try {
    note(`$ caracal audit key > audit.pub; caracal audit export log.jsonl --zone ${zoneID}`);
    await writeFile(file('audit.pub'), await caracal(['audit', 'key', '--data', data]));
    await caracal(['audit', 'export', file('log.jsonl'), '--zone', zoneID, '--data', data]);
    const verify = (name: string) => runCaracal(['audit', 'verify', file(name), '--public-key', file('audit.pub')]);

    note('$ caracal audit verify log.jsonl --public-key audit.pub');
    const proved = await verify('log.jsonl');
    detail(proved.output + proved.errors);
    expect('the log is whole', proved.status === 0);

    const [from, to] = chain;
    const log = await readFile(file('log.jsonl'), 'utf8');
    await writeFile(file('tampered.jsonl'), log.replace(from, to));
    note(
      `$ sed '0,/${from}/s//${to}/' log.jsonl > tampered.jsonl; caracal audit verify tampered.jsonl --public-key audit.pub`,
    );
    const caught = await verify('tampered.jsonl');
    detail(caught.output + caught.errors);
    expect(
      'the copy in which one name is another is caught, and the record named',
      caught.status === 1 && `${caught.output}${caught.errors}`.includes('RecordChanged'),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
