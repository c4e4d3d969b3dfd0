/** `npm run demo`: Caracal from end to end on this machine, embedded or on a real Kubernetes API; exits non-zero if any step differs. */
import { startEmbedded } from './embedded.ts';
import { createIdentityProvider } from './identityProvider.ts';
import { startKubernetes } from './kubernetes.ts';
import { detail, note, title } from './print.ts';
import { startOrdersService, startPaymentsService } from './service.ts';
import { tell } from './story.ts';
import { tellOfAgents } from './storyAgents.ts';

const HELP = `Usage: npm run demo [-- --kubernetes]

Starts Caracal on examples/quickstart, a protected HTTP service behind a gateway, and an agent;
then on examples/agents a chain of three agents, one of whose payments waits for a person. Shows each
request with its answer, and ends by itself. In a terminal it asks you to approve the payment.

  --kubernetes   the same on a real kube-apiserver, with kubectl and real ServiceAccount tokens
`;

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((argument) => argument !== '--kubernetes');
  if (args.includes('--help') || unknown !== undefined) {
    process.stdout.write(HELP);
    return args.includes('--help') ? 0 : 2;
  }
  const users = await createIdentityProvider('https://login.example.com');
  const [service, payments] = [await startOrdersService(), await startPaymentsService()];
  const start = args.includes('--kubernetes') ? startKubernetes : startEmbedded;
  const started = performance.now();
  const world = await start({
    identityProviderKey: users.publicKey,
    service: service.url,
    payments: payments.url,
    say: note,
  });
  try {
    note(
      `ready after ${((performance.now() - started) / 1000).toFixed(1)} s: STS ${world.issuer}, gateway ${world.gateway}`,
    );
    for (const { command, output } of await world.show()) {
      title(`$ ${command}`);
      detail(output);
    }
    const differences = (await tell(world, users)) + (await tellOfAgents(world, users));
    title(differences === 0 ? 'Every step went as it should.' : `${differences} expectation(s) did not hold.`);
    return differences === 0 ? 0 : 1;
  } finally {
    await world.close();
    service.close();
    payments.close();
  }
}

process.exitCode = await main(process.argv.slice(2));
