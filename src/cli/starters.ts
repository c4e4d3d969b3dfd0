/** What starts a role: passed in by the entry point, so that the command line itself imports no role. */
import type { PostgresAddress } from '../store/postgres/address.ts';
import type { FolderSource } from '../up/source.ts';
import type { Runtime } from './runtime.ts';

/** `silent` logs nothing. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface ClusterStart {
  /** Public base URL of the STS, without a trailing slash. */
  readonly issuer: string;
  /** Path of a kubeconfig; undefined: the pod this runs in. */
  readonly kubeconfig: string | undefined;
  /** Caracal's own namespace. */
  readonly namespace: string;
  /** Path of the pinned opa, and a folder for what it compiled. */
  readonly opa: string;
  readonly opaCache: string;
  readonly logLevel: LogLevel;
}

export interface DatabaseStart {
  readonly address: PostgresAddress;
  /** Folder. */
  readonly keys: string;
  /** Undefined: PGPASSWORD, if any. */
  readonly passwordFile: string | undefined;
}

export interface STSStart extends ClusterStart {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Folder of the embedded store. */
  readonly data: string;
  /** Where the store is instead; undefined: embedded. */
  readonly database: DatabaseStart | undefined;
  /** The ServiceAccount that may ask what is programmed. */
  readonly controller: { readonly namespace: string; readonly name: string } | undefined;
  /** The ServiceAccount that may ask for users of the runtime API. */
  readonly front: { readonly namespace: string; readonly name: string } | undefined;
  readonly allowJWKSRanges: readonly string[];
}

export interface ControllerStart extends ClusterStart {
  /** HOST:PORT of health and metrics. */
  readonly listen: string;
  /** Base URLs of STS replicas; empty: the endpoints of `stsService`. */
  readonly sts: readonly string[];
  readonly stsService: string;
  /** PEM certificates to trust for the STS. */
  readonly stsCA: string | undefined;
  readonly stsTokenFile: string;
  /** Names this process in the Lease and in Events. */
  readonly host: string;
}

export interface UpStart {
  /** Files and folders of manifests. */
  readonly paths: readonly string[];
  /** Absolute path. */
  readonly data: string;
  /** Of the STS, on 127.0.0.1; the edge gateway takes the next one. */
  readonly port: number;
  readonly namespace: string;
  readonly opa: string;
  readonly opaCache: string;
  readonly allowJWKSRanges: readonly string[];
  /** Besides loopback. */
  readonly allowUpstreamRanges: readonly string[];
  readonly logLevel: LogLevel;
}

/** What `caracal up` serves, as its ready line says it. */
export interface UpReady {
  /** Base URL of the STS. */
  readonly issuer: string;
  /** Base URL of the edge gateway. */
  readonly gateway: string;
  /** Ids of the zones served, sorted. */
  readonly zones: readonly string[];
}

export interface RunningUp {
  readonly ready: UpReady;
  readonly source: FolderSource;
  close(): Promise<void>;
}

export interface Starters {
  /** Each runs its role until `runtime.stop` and rejects where it cannot start. */
  sts(start: STSStart, runtime: Runtime): Promise<void>;
  controller(start: ControllerStart, runtime: Runtime): Promise<void>;
  /** Reads its flags itself; resolves with the exit code. */
  gateway(args: readonly string[], runtime: Runtime): Promise<number>;
  /** Resolves when everything is served and every object has its status. */
  up(start: UpStart, runtime: Runtime): Promise<RunningUp>;
}
