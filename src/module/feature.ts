import type { Database as Sqlite } from "better-sqlite3";
import type { LoadedConfig } from "../config/load.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import type { BodyReader } from "../http/body.ts";
import type { UntrustedForwards } from "../http/client-address.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { HttpKernel } from "../http/kernel.ts";
import type { HttpListener } from "../http/listener.ts";
import type { LiveSettings } from "../http/live-settings.ts";
import type { Route } from "../http/route.ts";
import type { Router } from "../http/router.ts";
import type { WorkBudget } from "../http/work-budget.ts";
import type { Connections } from "../live/connections.ts";
import type { Hub } from "../live/hub.ts";
import type { Presence } from "../live/presence.ts";
import type { Committer } from "../store/commit/committer.ts";
import type { Database } from "../store/database.ts";
import type { EffectTable } from "../store/effect.ts";
import type { NamedSweep } from "../store/retention.ts";
import type { SealedColumn } from "../store/sealed-column.ts";
import type { Store } from "../store/store.ts";
import type { StorageGuard } from "../store/write-health.ts";
import type * as api from "./module-api.ts";

/** A feature of Prism: a module as outsiders write one, plus route definitions on its server. */
export interface Feature extends Pick<api.AppModule, "name" | "version"> {
  /** Adds the feature's routes and handlers. The server does not answer yet. */
  register(server: FeatureServer, services: api.CoreServices): Promise<void> | void;
}

/** Registers the routes of a feature. */
export interface FeatureServer extends api.ModuleServer {
  /** @throws TypeError when path and method are taken. */
  route<P = undefined, Q = undefined, B = undefined, R = undefined>(definition: Route<P, Q, B, R>): void;
}

/** What every feature may use. */
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
  /** Key of hashes that outlive a rotation of the encryption key. */
  readonly auditKey: Uint8Array;
  readonly kernel: HttpKernel;
  readonly router: Router;
  readonly listener: HttpListener;
  readonly bodies: BodyReader;
  /** Peers that send X-Forwarded-For without being trusted. */
  readonly forwards: UntrustedForwards;
  /** What requests and replays may cost on the main thread. */
  readonly work: WorkBudget;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly presence: Presence;
  /** The server's address for clients, without a slash at the end. */
  publicUrl(): string;
  /** Whether a web page of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
}

/** What features offer to each other. Each adds its own members, in its index.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: features add its members
export interface Offers {}

/** A feature's context: the core, what it needs of others, and what it offers itself. */
export type Context<N extends keyof Offers> = FeatureCore & Pick<Offers, N>;

/**
 * All that the server must know of a feature, so that adding one is a folder and a line. A follower
 * of a cluster opens, applies effects and loads, and does not start.
 */
export interface FeatureParts<N extends keyof Offers, O extends Partial<Offers>> {
  /** Offers of other features; they are opened before. */
  readonly needs: readonly N[];
  /** Makes the services. Nothing is read, nothing runs. */
  open?(context: Context<N>): O;
  /** What commits change in its memory. */
  effects?(context: Context<N> & O): Partial<EffectTable>;
  /** Writes that an earlier version left to do, before anything is loaded. */
  upgrade?(context: Context<N> & O): Promise<void>;
  /** Reads memory from the tables. Before the port opens. */
  load?(context: Context<N> & O): Promise<void> | void;
  /** Adds the routes. */
  register?(server: FeatureServer, context: Context<N> & O): Promise<void> | void;
  /** Begins timers and sending. */
  start?(context: Context<N> & O): Promise<void> | void;
  /** Ends what {@link FeatureParts.start} began. */
  stop?(context: Context<N> & O): Promise<void>;
  /** Old rows of its tables. */
  readonly sweeps?: readonly NamedSweep[];
  /** Columns that are encrypted at rest. */
  readonly sealedColumns?: readonly SealedColumn[];
}

/** A feature of which the types of needs and offers are no longer known. */
export interface OpenableFeature extends Omit<FeatureParts<never, object>, "needs" | "open"> {
  readonly name: string;
  readonly needs: readonly (keyof Offers)[];
  open?(context: FeatureCore & Partial<Offers>): Partial<Offers>;
}

/** @param name of its routes in the log, such as `heartbeats` */
export function feature<N extends keyof Offers, O extends Partial<Offers>>(
  name: string,
  parts: FeatureParts<N, O>,
): OpenableFeature {
  // The app opens it with all that it needs.
  return { name, ...parts } as unknown as OpenableFeature;
}
