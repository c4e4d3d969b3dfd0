/** Commands over the log of decisions: audit list, show, export, verify and key. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { AuditExportOptions } from './auditExport.ts';
import type { AuditListOptions } from './auditList.ts';
import type { AuditShowOptions } from './auditShow.ts';
import type { AuditReplayOptions } from './auditReplay.ts';
import type { AuditTraceOptions } from './auditTrace.ts';
import type { AuditVerifyOptions } from './auditVerify.ts';
import { withExample } from './command.ts';
import type { Session } from './command.ts';
import { DEFAULT_DATA } from './storeFile.ts';

const DATA = ['--data <dir>', 'data folder of `caracal up` or of the STS', DEFAULT_DATA] as const;
const textOrJSON = () => new Option('--output <form>', 'what to print').choices(['text', 'json']).default('text');

export function addAuditCommands(program: Command, session: Session): void {
  const audit = program.command('audit').description('The log of decisions: read it, export it, and have it proved.');
  withExample(audit, 'caracal audit list --outcome denial');
  addList(audit, session);
  addShow(audit, session);
  addExport(audit, session);
  addVerify(audit, session);
  addKey(audit, session);
  addTrace(audit, session);
  addReplay(audit, session);
}

function addList(audit: Command, session: Session): void {
  const command = audit
    .command('list')
    .description('List decisions, newest first.')
    .option('--zone <id>', 'of this zone, as NAMESPACE.NAME')
    .option('--application <id>', 'asked by this application, as NAMESPACE.NAME')
    .addOption(
      new Option('--outcome <outcome>', 'that ended so').choices(['permit', 'hold', 'denial', 'error', 'done']),
    )
    .addOption(
      new Option('--kind <kind>', 'of this kind').choices([
        'exchange',
        'refusal',
        'act',
        'consume',
        'configuration',
        'gateway',
      ]),
    )
    .option('--since <time>', 'made at this time (RFC 3339) or later')
    .option('--limit <number>', 'how many at most', '50')
    .option(...DATA)
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json']).default('table'));
  withExample(
    command,
    'caracal audit list --outcome denial',
    'caracal audit list --zone quickstart.shop --since 2026-01-31T12:00:00Z --output json',
  ).action(async (options: AuditListOptions) => {
    const { runAuditList } = await import('./auditList.ts');
    session.exit = runAuditList(options, session.runtime);
  });
}

function addShow(audit: Command, session: Session): void {
  const command = audit
    .command('show')
    .description('Show a decision whole, with its place in the log.')
    .argument('<id>', 'id of the decision, or of the request that it answered')
    .option(...DATA)
    .addOption(textOrJSON());
  withExample(command, 'caracal audit show 0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31').action(
    async (id: string, options: AuditShowOptions) => {
      const { runAuditShow } = await import('./auditShow.ts');
      session.exit = runAuditShow(id, options, session.runtime);
    },
  );
}

function addExport(audit: Command, session: Session): void {
  const command = audit
    .command('export')
    .description(
      'Write the log as JSON Lines with a signed end, for `audit verify`, or as events for a SIEM; exit 1 where it does not verify.',
    )
    .argument('<file>', 'a new file, or a device such as /dev/stdout')
    .option('--zone <id>', 'only this zone, as NAMESPACE.NAME or by its UID (default: all zones)')
    .addOption(
      new Option('--format <format>', 'jsonl: records with their proof; ocsf: events of OCSF 1.3')
        .choices(['jsonl', 'ocsf'])
        .default('jsonl'),
    )
    .option(...DATA);
  withExample(command, 'caracal audit export log.jsonl', 'caracal audit export --format ocsf /dev/stdout').action(
    async (file: string, options: AuditExportOptions) => {
      const { runAuditExport } = await import('./auditExport.ts');
      session.exit = runAuditExport(file, options, session.runtime);
    },
  );
}

function addVerify(audit: Command, session: Session): void {
  const command = audit
    .command('verify')
    .description(
      'Prove an export, offline, or the log of a data folder; exit 1 at any alarm, naming the first bad record.',
    )
    .argument('[file]', 'an export (default: the log in --data)')
    .option('--public-key <key>', "the log's public key, or a file of such keys; required for an export")
    .option(...DATA)
    .addOption(textOrJSON());
  withExample(
    command,
    'caracal audit verify log.jsonl --public-key audit.pub',
    'caracal audit verify --data .caracal',
  ).action(async (file: string | undefined, options: AuditVerifyOptions) => {
    const { runAuditVerify } = await import('./auditVerify.ts');
    session.exit = await runAuditVerify(file, options, session.runtime);
  });
}

function addReplay(audit: Command, session: Session): void {
  const command = audit
    .command('replay')
    .description('Decide past exchanges again under other policies or manifests; exit 1 where any would change.')
    .option('--revision <name>', 'a PolicySetRevision that the data folder of `caracal up` keeps: [NAMESPACE/]NAME')
    .option('--manifests <path...>', 'files and folders of candidate manifests')
    .option('--since <time>', 'only what was asked at this time (RFC 3339) or later')
    .option('--zone <id>', 'only this zone, as NAMESPACE.NAME')
    .option(...DATA)
    .option('--namespace <name>', "Caracal's own namespace", 'caracal-system')
    .option('--opa <path>', 'the pinned opa (default: CARACAL_OPA, PATH, then the cache)')
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json']).default('table'));
  withExample(
    command,
    'caracal audit replay --revision shop-3',
    'caracal audit replay --manifests candidate/ --since 2026-01-31T12:00:00Z',
  ).action(async (options: AuditReplayOptions) => {
    const { runAuditReplay } = await import('./auditReplay.ts');
    session.exit = await runAuditReplay(options, session.runtime);
  });
}

function addTrace(audit: Command, session: Session): void {
  const command = audit
    .command('trace')
    .description('Show all that led to what an id names, and all that came of it, in the order in which it happened.')
    .argument('<id>', 'of a request, a decision, a mandate (jti), an agent session, a delegation edge or a challenge')
    .option(...DATA)
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json']).default('table'));
  withExample(command, 'caracal audit trace 0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31').action(
    async (id: string, options: AuditTraceOptions) => {
      const { runAuditTrace } = await import('./auditTrace.ts');
      session.exit = runAuditTrace(id, options, session.runtime);
    },
  );
}

function addKey(audit: Command, session: Session): void {
  const command = audit
    .command('key')
    .description('Print the public key of the log: keep it where whoever can write the data folder cannot.')
    .option(...DATA);
  withExample(command, 'caracal audit key > audit.pub').action(async ({ data }: { readonly data: string }) => {
    const { runAuditKey } = await import('./auditVerify.ts');
    session.exit = runAuditKey(data, session.runtime);
  });
}
