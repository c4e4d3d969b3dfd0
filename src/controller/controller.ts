/** The controller: watch → wake → loop → gather → compile → publish → report, over ports only, one round at a time. */
import type { Clock } from '../authority/clock.ts';
import { createCompiler, type CompileResult } from '../compiler/compile.ts';
import { planRevisions, type RevisionPlan } from '../compiler/revisions.ts';
import type { World, WorldSource } from '../compiler/world.ts';
import type { SigningKeySource } from '../sts/ports.ts';
import { createControllerMetrics, type ControllerMetrics } from './metrics.ts';
import { createObserving, IDLE_EVERY_MS, type Observing } from './observing.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createGatherer, type Gatherer, type PolicyChecks } from './policyChecks.ts';
import type { Publisher, ReplicaObserver } from './ports.ts';
import { createHold, createPublishing, type Publishing } from './publish.ts';
import { createReporter, type Reporter } from './report.ts';
import { createChangeTracker, type Versions } from './versions.ts';
import { createWaker, type Waker } from './waker.ts';

export interface ControllerConfig {
  /** Public base URL of the STS, for a Zone's `issuer` and `jwksURI`. */
  readonly issuer: string;
  /** Not ready when nothing was heard for this long; 150 s when absent (a bookmark comes every minute). */
  readonly silentAfterMs?: number;
  /** How long keys outlive their Zone before they are removed; 60 s when absent. */
  readonly orphanedKeysMs?: number;
}

export interface ControllerLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ControllerPorts {
  readonly source: WorldSource;
  readonly publisher: Publisher;
  readonly observer: ReplicaObserver;
  readonly checker: PolicyChecks;
  readonly keys: SigningKeySource;
  readonly clock: Clock;
  /** Absent: there is only one controller. */
  readonly lease?: { isLeader(): boolean; onChange(listener: (leader: boolean) => void): () => void };
  readonly log: ControllerLog;
}

export interface Controller {
  /** Resolves when every kind was read once and the first round is over. */
  start(): Promise<void>;
  ready(): { readonly ready: boolean; readonly reason?: string };
  readonly metrics: ControllerMetrics;
  /** Ends the loop and waits for the writes under way; the ports stay open. */
  close(): Promise<void>;
}

const SILENT_AFTER_MS = 150_000;
const ORPHANED_KEYS_MS = 60_000;
const FAILED_ROUND_MS = 1_000;

export function createController(config: ControllerConfig, ports: ControllerPorts): Controller {
  const { source, lease, clock, log } = ports;
  let started = false;
  let closed = false;
  let unsubscribe: readonly (() => void)[] = [];
  const ready = () => {
    if (!started) return { ready: false, reason: 'the configuration was not read yet' };
    const silence = source.lastEventAge();
    if (silence <= (config.silentAfterMs ?? SILENT_AFTER_MS)) return { ready: true };
    return { ready: false, reason: `a watch was silent for ${Math.round(silence / 1000)} s` };
  };
  const metrics = createControllerMetrics((self) => {
    const leader = lease?.isLeader() ?? true;
    self.setState({ leader, ready: ready().ready, lastEventAgeMs: source.lastEventAge() });
  });
  const waker: Waker = createWaker(
    () => round(),
    (error) => {
      metrics.roundFailed();
      log.warn({ error: messageOf(error) }, 'a round failed and is tried again');
      waker.wakeAt(clock.monotonic() + FAILED_ROUND_MS, clock.monotonic());
    },
  );
  const steps = createSteps(config, ports, metrics, waker);
  const round = createRound(steps, ports, metrics, waker);

  return {
    async start() {
      unsubscribe = [source.onChange(waker.wake), lease?.onChange(waker.wake) ?? (() => undefined)];
      await source.start();
      if (closed) return;
      started = true;
      await waker.start();
    },
    ready,
    metrics,
    async close() {
      closed = true;
      for (const stop of unsubscribe) stop();
      await waker.close();
      await Promise.all([steps.observing.idle(), steps.gatherer.idle(), steps.outbox.idle()]);
    },
  };
}

interface Steps {
  readonly outbox: Outbox;
  readonly gatherer: Gatherer;
  readonly observing: Observing;
  readonly publishing: Publishing;
  readonly reporter: Reporter;
}

function createSteps(
  config: ControllerConfig,
  ports: ControllerPorts,
  metrics: ControllerMetrics,
  waker: Waker,
): Steps {
  const { publisher, observer, checker, keys, clock, log } = ports;
  const monotonic = () => clock.monotonic();
  const { wake, wakeAt, pause } = waker;
  const outbox = createOutbox({
    monotonic,
    onFailure(key, error, movedOn) {
      metrics.write(kindOfWrite(key), movedOn ? 'conflict' : 'error');
      if (!movedOn) log.warn({ write: key, error: messageOf(error) }, 'a write failed and is tried again');
      wake();
    },
  });
  return {
    outbox,
    gatherer: createGatherer({
      ...{ checker, monotonic, pause, wake, wakeAt },
      onFailure: (error) => log.warn({ error: messageOf(error) }, 'policies could not be checked; that is tried again'),
    }),
    observing: createObserving({
      ...{ observer, monotonic, wake, wakeAt, onObserved: metrics.observed },
      onProblem(reason) {
        if (reason === undefined) log.info({}, 'every STS replica answers what it serves');
        else log.warn({ error: reason }, 'an STS replica could not be asked what it serves; new objects stay Pending');
      },
    }),
    publishing: createPublishing({
      ...{ publisher, keys, outbox, monotonic },
      orphanedKeysMs: config.orphanedKeysMs ?? ORPHANED_KEYS_MS,
      onRevision: () => metrics.write('revision', 'ok'),
      onRevocation: () => metrics.write('revocation', 'ok'),
      onKeys(zone, kids) {
        metrics.write('keys', 'ok');
        log.info({ zone, kids }, 'signing keys written');
      },
    }),
    reporter: createReporter({
      ...{ publisher, outbox, monotonic, issuer: config.issuer },
      onWritten: (what) => metrics.write(what, 'ok'),
      onEventFailure(error) {
        metrics.write('event', 'error');
        log.warn({ error: messageOf(error) }, 'an event was not written');
      },
      onProgrammed: metrics.programmed,
    }),
  };
}

interface Compiled {
  readonly world: World;
  /** Versions of the last changes of the world. */
  readonly required: Versions;
  readonly result: CompileResult;
  readonly plan: RevisionPlan;
}

function createRound(steps: Steps, ports: ControllerPorts, metrics: ControllerMetrics, waker: Waker) {
  const { outbox, gatherer, observing, publishing, reporter } = steps;
  const { source, checker, clock, lease, log } = ports;
  const compiler = createCompiler();
  const tracker = createChangeTracker();
  let compiled: Compiled | undefined;
  let ledBefore = false;
  let lookedAtAll = -Infinity;
  let keysDue: number | undefined;

  const compileNow = (world: World, wall: number): Compiled => {
    const hasNews = gatherer.takeNews();
    const isSettled = compiled?.world === world && !hasNews && wall < (compiled.result.nextChange ?? Infinity);
    if (compiled !== undefined && isSettled) return compiled;
    const result = compiler.compile(world, wall, checker.results);
    const required = tracker.note(world, source.versions());
    metrics.objects(result.verdicts.values());
    return { world, required, result, plan: planRevisions(world, checker.results) };
  };

  /** What another leader did meanwhile is unknown: everything is compared anew. */
  const changeTerm = (leads: boolean): void => {
    ledBefore = leads;
    lookedAtAll = -Infinity;
    compiled = undefined;
    for (const step of [outbox, publishing, reporter]) step.clear();
    observing.forget();
    log.info({ leader: leads }, leads ? 'leading' : 'standing by');
  };

  const lead = (present: Compiled, isNew: boolean, wall: number): void => {
    const now = clock.monotonic();
    const observed = observing.present();
    const everything = observed.askedAt - lookedAtAll >= IDLE_EVERY_MS;
    if (everything) lookedAtAll = observed.askedAt;
    const { world, required, result, plan } = present;
    publishing.revisions(plan);
    if (isNew || everything || wall >= (keysDue ?? Infinity)) keysDue = publishing.keys(world, wall, observed);
    const isHeld = createHold({ world, result, plan, isGathering: gatherer.isWaiting(), outbox });
    const input = { world, required, observed, everything, wall, now, isHeld, verdicts: result.verdicts };
    const { nextWrite, waitingSince } = reporter.report(input);
    observing.schedule(waitingSince);
    const deletionDue = publishing.revocations(world, wall);
    const fromWall = [result.nextChange, keysDue, deletionDue].map((at) =>
      at === undefined ? undefined : now + (at - wall),
    );
    for (const at of [nextWrite, outbox.nextRetry(), ...fromWall]) if (at !== undefined) waker.wakeAt(at, now);
  };

  return async (): Promise<void> => {
    const startedAt = clock.monotonic();
    const leads = lease?.isLeader() ?? true;
    if (leads !== ledBefore) changeTerm(leads);
    await gatherer.gather(source.world());
    const wall = clock.now();
    const before = compiled;
    compiled = compileNow(source.world(), wall);
    if (leads) lead(compiled, compiled !== before, wall);
    metrics.round(compiled === before ? 'report' : 'compile', clock.monotonic() - startedAt);
  };
}

function kindOfWrite(key: string): 'status' | 'keys' | 'revision' | 'revocation' {
  const [kind] = key.split(' ', 1);
  return kind === 'keys' || kind === 'revision' || kind === 'revocation' ? kind : 'status';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
