/** `npm run bench -- exchange|gateway|governed|revocation|audit|apply`: figures against named peers in the same run, one JSON line each. */
import { benchApply } from './apply.ts';
import { benchAudit } from './audit.ts';
import { benchExchange } from './exchange.ts';
import { say } from './figure.ts';
import { benchGateway } from './gateway.ts';
import { benchGoverned } from './governed.ts';
import { benchRevocation } from './revocation.ts';

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  exchange: benchExchange,
  gateway: benchGateway,
  governed: benchGoverned,
  revocation: benchRevocation,
  audit: benchAudit,
  apply: benchApply,
};

const HELP = `Usage: npm run bench [-- exchange|gateway|governed|revocation|audit|apply …]

  exchange   CPU of a token exchange, against oidc-provider's client credentials
  gateway    CPU of a governed request, fresh and reused mandates, against HAProxy's jwt_verify
  governed   an exchange and a request through the gateway together: per core, and latency at half load
  revocation from an ended agent session until the last of 100 and of 1,000 gateways is told
  audit      durable records of decisions, 64 in flight
  apply      from an applied object to an STS that answers differently, on a real kube-apiserver

Without a name: all of them. Prints one JSON line per figure; "met" compares with the budget of that row.
`;

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((name) => !(name in BENCHES));
  if (args.includes('--help') || unknown !== undefined) {
    process.stdout.write(HELP);
    return args.includes('--help') ? 0 : 2;
  }
  for (const name of args.length > 0 ? args : Object.keys(BENCHES)) {
    say(name);
    await BENCHES[name]!();
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
