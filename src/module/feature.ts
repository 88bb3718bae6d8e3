import type { Database as Sqlite } from "better-sqlite3";
import type { LoadedConfig } from "../config/load.ts";
import type { SealedBox } from "../core/crypto/sealed-box.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { Clock, EpochMs } from "../core/time/clock.ts";
import type { DueWork } from "../core/time/due-times.ts";
import type { Idempotency } from "../http/api/idempotency.ts";
import type { RouteDefinition } from "../http/api/route.ts";
import type { BodyReader } from "../http/body/body.ts";
import type { WorkBudget } from "../http/limits/work-budget.ts";
import type { UntrustedForwards } from "../http/server/headers.ts";
import type { HttpKernel } from "../http/server/kernel.ts";
import type { DescriptorWatch, HttpListener } from "../http/server/listener.ts";
import type { LiveSettings } from "../http/server/live-settings.ts";
import type { Router } from "../http/server/router.ts";
import type { Connections } from "../live/connections.ts";
import type { Hub } from "../live/hub.ts";
import type { Presence } from "../live/presence.ts";
import type { Committer } from "../store/commit/committer.ts";
import type { Database, Trx } from "../store/database.ts";
import type { EffectTable } from "../store/effect.ts";
import type { NamedSweep } from "../store/retention.ts";
import type { SealedColumn } from "../store/sealed-column.ts";
import type { Store } from "../store/store.ts";
import type { SharedFiles } from "../store/stored-files.ts";
import type { StorageGuard } from "../store/write-health.ts";
import type { ConfigKind } from "./config-kind.ts";
import type { FeatureFindings, OpenFindings } from "./findings.ts";
import type * as api from "./module-api.ts";

/** A feature of Prism: a module as outsiders write one, plus route definitions on its server. */
export interface Feature extends Pick<api.AppModule, "name" | "version"> {
  /** Adds the feature's routes and handlers. The server does not answer yet. */
  register(server: FeatureServer, services: api.CoreServices): Promise<void> | void;
}

/** Registers the routes of a feature. */
export interface FeatureServer extends api.ModuleServer {
  /** @throws TypeError when path and method are taken. */
  route<P = undefined, Q = undefined, B = undefined, R = undefined>(definition: RouteDefinition<P, Q, B, R>): void;
}

/** Services that every feature may use. */
export interface FeatureCore {
  readonly db: Database;
  /** Synchronous reads of committed rows. */
  readonly reader: Sqlite;
  readonly committer: Committer;
  readonly store: Store;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The configuration of the start. */
  readonly config: LoadedConfig["config"];
  /** Its values that a reload changes. */
  readonly settings: LiveSettings;
  readonly audit: api.CoreServices["audit"];
  readonly events: api.CoreServices["events"];
  readonly idempotency: Idempotency;
  readonly storage: StorageGuard;
  /** Encrypts at rest. */
  readonly box: SealedBox;
  /** Why nothing may be stored: a core without the encryption key only reads. */
  readonly readsOnly: Error | null;
  /** The core of one command: no port, no work, and no other process has the data directory. */
  readonly isForCommand: boolean;
  /** Commits go to the log of a cluster, which this node leads. */
  readonly isReplicated: boolean;
  /** Files of all nodes of a cluster; null: this server is no node of one. */
  readonly sharedFiles: SharedFiles | null;
  /** Key of hashes that outlive a rotation of the encryption key. */
  readonly auditKey: Uint8Array;
  readonly kernel: HttpKernel;
  readonly router: Router;
  readonly listener: HttpListener;
  readonly descriptors: DescriptorWatch;
  readonly bodies: BodyReader;
  /** Peers that send X-Forwarded-For without being trusted. */
  readonly forwards: UntrustedForwards;
  /** Budget of the main thread for requests and replays. */
  readonly work: WorkBudget;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly presence: Presence;
  /** The server's address for clients, without a slash at the end. */
  publicUrl(): string;
  /** Whether a web page of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
}

/** Services that features offer to each other. Each adds its own members, in its index.ts. */
export interface Offers {
  readonly findings: OpenFindings;
}

/** Rows that went with their project; each gets an entry of the audit trail. */
export interface DeletedRows {
  readonly resourceType: "rule" | "webhook" | "channel" | "oncall_schedule";
  readonly rows: readonly { readonly id: string; readonly version: number }[];
}

/** Calls the features that declare what happens when a user or a project is deleted. */
export interface Deletions {
  user(trx: Trx, userId: string, now: EpochMs): Promise<void>;
  project(trx: Trx, projectId: string, now: EpochMs): Promise<readonly DeletedRows[]>;
}

/** A feature's context: the core, what it needs of others, and what it offers itself. */
export type Context<N extends keyof Offers> = FeatureCore & Pick<Offers, N>;

/** Members of the core and offers of features, as parameters of what is made of them. */
export type Uses<K extends keyof (FeatureCore & Offers)> = Pick<FeatureCore & Offers, K>;

/**
 * All that the server must know of a feature, so that adding one is a folder and a line. A follower
 * of a cluster opens, applies effects and loads, and does not start; a command closes, too.
 */
export interface FeatureParts<N extends keyof Offers, U extends keyof Offers, O extends Partial<Offers>> {
  /** Offers of other features; they are opened before. */
  readonly needs: readonly N[];
  /** Offers of features that may be opened later: for all steps but {@link FeatureParts.open}. */
  readonly uses?: readonly U[];
  /** Makes the services; nothing runs. @param later with the offers it uses, once all are open */
  open?(context: Context<N>, later: () => Context<N | U>): O | Promise<O>;
  /** Updates of its memory by the effects of commits, after those of features that opened before it. */
  effects?(context: Context<N | U> & O): Partial<EffectTable>;
  /** Writes that an earlier version left to do, before anything is loaded. */
  upgrade?(context: Context<N | U> & O): Promise<void>;
  /** Reads memory from the tables. Before the port opens. */
  load?(context: Context<N | U> & O): Promise<void> | void;
  /**
   * What it does at due times: read after {@link FeatureParts.load}, handled from {@link FeatureParts.start}
   * on, ended before {@link FeatureParts.stop}. Called once.
   */
  dueWork?(context: Context<N | U> & O): readonly DueWork[];
  /** Adds the routes. */
  register?(server: FeatureServer, context: Context<N | U> & O): Promise<void> | void;
  /** Before a server opens its port. */
  prepare?(context: Context<N | U> & O): Promise<void> | void;
  /** Begins timers and sending. */
  start?(context: Context<N | U> & O): Promise<void> | void;
  /** Settings were loaded again. */
  reload?(context: Context<N | U> & O): void;
  /** Ends what {@link FeatureParts.start} began, the last feature first. */
  stop?(context: Context<N | U> & O, leftMs: () => number): Promise<void> | void;
  /** Stores what only memory has and ends what `open` made, once all have stopped. */
  close?(context: Context<N | U> & O, leftMs: () => number): Promise<void> | void;
  /** Deletes what its tables have of a deleted user, in the transaction of the deletion. */
  onUserDeleted?(trx: Trx, userId: string, now: EpochMs): Promise<void>;
  /** Deletes what a deleted project has of it, in the transaction of the deletion. */
  onProjectDeleted?(trx: Trx, projectId: string, now: EpochMs): Promise<DeletedRows>;
  /** Old rows of its tables. */
  sweeps?(context: Context<N | U> & O): readonly NamedSweep[];
  /** Columns that are encrypted at rest. */
  readonly sealedColumns?: readonly SealedColumn[];
  /** The problems that it finds; asked once all are open, with all that they offer. */
  readonly findings?: FeatureFindings<FeatureCore & Offers>;
  /** Its objects that configuration files may have. `projects` and `users` also know what the same apply makes. */
  configKinds?(context: Context<N | U> & O): Promise<readonly ConfigKind[]>;
  /** What configuration files make once, such as overrides and silences. */
  runtimeKinds?(context: Context<N | U> & O): Promise<readonly ConfigKind[]>;
}

/** A feature without the types of its needs and offers. */
export interface OpenableFeature extends Omit<FeatureParts<never, never, object>, "needs" | "uses"> {
  readonly name: string;
  readonly needs: readonly (keyof Offers)[];
}

/** @param name of its routes in the log, such as `heartbeats` */
export function feature<N extends keyof Offers, O extends Partial<Offers>, U extends keyof Offers = never>(
  name: string,
  parts: FeatureParts<N, U, O>,
): OpenableFeature {
  // The app opens it with all that it needs.
  return { name, ...parts } as unknown as OpenableFeature;
}
