/** What a gateway knows of a zone from its feed: configuration, keys, and which mandates are in force without asking. */
import type { MandateClaims } from '../authority/claims.ts';
import type { FeedConfig, FeedKeys, FeedResource } from '../authority/feed.ts';
import { createVerifiedCache, type VerifiedCache } from '../tokens/verifiedCache.ts';
import { createMandateVerifier, type MandateVerifier, type MandateVerifierConfig } from '../tokens/verify.ts';
import { createEpochs, type Epochs } from './epochs.ts';
import type { FeedListener } from './feed/link.ts';
import { toMetadataURL } from './metadata.ts';
import { createOperationIndex, type OperationIndex } from '../authority/operations.ts';

/** A Resource with what is needed to judge a request for it. */
export interface ServedResource {
  readonly resource: FeedResource;
  readonly operations: OperationIndex;
  readonly scopes: ReadonlySet<string>;
  /** Where its RFC 9728 metadata is; undefined where its identifier is no https URL. */
  readonly metadataURL: string | undefined;
  readonly verifier: MandateVerifier;
  readonly verified: VerifiedCache;
}

/** `in_force`, or why not; `unknown`: nobody could tell in time. */
export type Standing = 'in_force' | 'ended' | 'unknown';

export interface ZoneState {
  readonly listener: FeedListener;
  readonly epochs: Epochs;
  config(): FeedConfig | undefined;
  /** By `<namespace>/<name>`. */
  byName(name: string): ServedResource | undefined;
  /** One with an upstream, by identifier. */
  upstream(identifier: string): ServedResource | undefined;
  /** Undefined: the STS must be asked, or the feed waited for. */
  standing(claims: MandateClaims): Exclude<Standing, 'unknown'> | undefined;
  isAhead(claims: MandateClaims): boolean;
  /** The epoch under which the STS said yes, or that it said no, which is for good. */
  remember(jti: string, answer: number | 'ended'): void;
}

export interface ZoneIdentity {
  /** The `iss` of its mandates, byte for byte. */
  readonly issuer: string;
  readonly zoneID: string;
}

const MAX_VERIFIED = 10_000;

export function createZoneState({ issuer, zoneID }: ZoneIdentity): ZoneState {
  const epochs = createEpochs();
  const answers = createAnswers();
  let keys: FeedKeys['keys'] = [];
  let incarnation: string | undefined;
  let config: FeedConfig | undefined;
  let byName: ReadonlyMap<string, ServedResource> = new Map();
  let byIdentifier: ReadonlyMap<string, ServedResource> = new Map();

  const forget = (): void => {
    epochs.reset();
    answers.dropGood();
  };
  const epochOf = ({ jti, epoch }: MandateClaims): number | 'ended' => {
    const answer = answers.get(jti);
    return answer === 'ended' ? answer : Math.max(epoch, answer ?? 0);
  };
  const serve = (resource: FeedResource): ServedResource => {
    const rules: MandateVerifierConfig = {
      ...{ issuer, zoneID, audience: resource.identifier, use: 'resource', keys: () => keys },
    };
    return {
      resource,
      operations: createOperationIndex(resource.operations),
      scopes: new Set(resource.scopes),
      metadataURL: toMetadataURL(resource.identifier),
      verifier: createMandateVerifier(rules),
      // Bound to issuer, zone, audience and keys, none of which a new configuration changes.
      verified:
        byIdentifier.get(resource.identifier)?.verified ??
        createVerifiedCache({ maxEntries: MAX_VERIFIED, verifier: rules }),
    };
  };

  return {
    epochs,
    config: () => config,
    byName: (name) => byName.get(name),
    upstream(identifier) {
      const served = byIdentifier.get(identifier);
      return served?.resource.upstream === undefined ? undefined : served;
    },
    remember: (jti, answer) => answers.set(jti, answer),
    isAhead(claims) {
      const epoch = epochOf(claims);
      return epoch !== 'ended' && epochs.judge(claims, epoch) === 'ahead';
    },
    standing(claims) {
      const epoch = epochOf(claims);
      if (epoch === 'ended') return 'ended';
      if (epoch === epochs.current()) return 'in_force';
      if (epochs.judge(claims, epoch) !== 'good') return undefined;
      answers.set(claims.jti, epochs.current());
      return 'in_force';
    },
    listener: {
      hello(hello) {
        // Another life of the store ends what the last one said.
        if (incarnation !== undefined && incarnation !== hello.incarnation) forget();
        incarnation = hello.incarnation;
      },
      keys: (event) => void (keys = event.keys),
      config(next, isFirst) {
        if (next.zone_id !== zoneID || next.issuer !== issuer) throw new Error('the configuration is of another zone');
        // A zone of the same name that was created anew counts its epochs anew.
        if (config && config.zone_uid !== next.zone_uid) forget();
        if (next.epoch < epochs.current()) throw new Error('the configuration is older than what is known');
        config = next;
        if (isFirst || epochs.current() === 0) epochs.restart(next.epoch);
        const served = next.resources.map(serve);
        byName = new Map(served.map((one) => [`${one.resource.namespace}/${one.resource.name}`, one]));
        byIdentifier = new Map(served.map((one) => [one.resource.identifier, one]));
      },
      epoch: (event) => epochs.add(event),
      heartbeat: ({ epoch }) => epochs.restart(epoch),
      digest: () => config?.digest,
    },
  };
}

const MAX_ANSWERS = 50_000;

/** By jti, the oldest forgotten first: a mandate that nothing is known of is asked about. */
function createAnswers() {
  const answers = new Map<string, number | 'ended'>();
  return {
    get: (jti: string) => answers.get(jti),
    set(jti: string, answer: number | 'ended'): void {
      answers.delete(jti);
      answers.set(jti, answer);
      if (answers.size > MAX_ANSWERS) answers.delete(answers.keys().next().value!);
    },
    dropGood(): void {
      for (const [jti, answer] of answers) if (answer !== 'ended') answers.delete(jti);
    },
  };
}
