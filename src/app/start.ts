import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { ChangedSettings } from "../config/changes.ts";
import type { Config } from "../config/load.ts";
import { currentCaller, runAs, SYSTEM } from "../core/caller.ts";
import { PrismError } from "../core/errors.ts";
import { ControlSocketRefused } from "../core/listening.ts";
import { makeGlobalsPlain } from "../core/runtime.ts";
import { awaitFirstAdmin, createSignInLink, type FirstAdmin, type SignInLink } from "../features/access/index.ts";
import type { HttpListener } from "../http/server/listener.ts";
import type { CoreServices } from "../module/module-api.ts";
import { type ListenOptions, listen, reload, reloadSources, startWork } from "./listen.ts";
import { openCore, warningsOf } from "./open-core.ts";
import { OpenFeatures } from "./open-features.ts";
import { type BaseOptions, openBase } from "./open-store.ts";
import type { Parts } from "./parts.ts";
import { registerFeatures, servicesOf } from "./register-features.ts";
import { SEALED_COLUMNS } from "./sealed-columns.ts";
import { stop, stopCommand } from "./stop.ts";

export interface AppOptions extends BaseOptions, ListenOptions {
  /** Requests are answered; resolves when timers, jobs and deliveries may begin. */
  readonly beforeWork?: () => Promise<void>;
}

/** A running Prism. */
export interface App {
  readonly port: number;
  /** The services of every module. */
  readonly services: CoreServices;
  /** For tests and diagnosis. */
  readonly parts: Parts;
  /** The state of the first administrator; a setup token in it must be shown now. */
  readonly firstAdmin: FirstAdmin;
  /** A one-time link that signs in the development administrator; null outside development. */
  devSignInLink(): Promise<SignInLink | null>;
  /** Applies reloadable settings. */
  reload(config: Config): void;
  /** Loads all sources of the configuration again and applies them. @throws ConfigRefused */
  reloadSources(): ChangedSettings;
  /**
   * Stops in order: no new requests, running ones are answered, sockets close with a request to
   * reconnect, jobs end, the database closes.
   */
  stop(): Promise<void>;
}

/**
 * The composition root. The schema is current and the caller holds the lock on the data directory.
 * @throws ListenRefused, ConfigRefused
 */
export async function startApp(options: AppOptions): Promise<App> {
  makeGlobalsPlain();
  const parts = await openParts(options);
  await listen(parts, options);
  const { base } = parts;
  const { config, database, clock, log } = base;
  const firstAdmin = await awaitFirstAdmin({ config, db: database, clock, log: log.namespace("auth") });
  await options.beforeWork?.();
  await startWork(parts);
  return {
    port: base.listening.port,
    services: servicesOf("prism", parts),
    parts,
    firstAdmin,
    devSignInLink: () => devSignInLink(parts),
    reload: (next) => reload(parts, next),
    reloadSources: () => reloadSources(parts),
    stop: () => stop(parts),
  };
}

async function devSignInLink({ base, offers }: Parts): Promise<SignInLink | null> {
  const { accounts, devUserId } = offers;
  if (devUserId === null || base.config.env !== "development") return null;
  return createSignInLink(accounts, devUserId).catch((error: unknown) => {
    // The account is disabled, or nothing can be written: the server runs all the same.
    if (error instanceof PrismError) return null;
    throw error;
  });
}

interface CommandApp {
  /** Where it is reached. */
  readonly socket: string;
  /** For the build, which describes its routes. */
  readonly parts: Parts;
  stop(): Promise<void>;
}

/**
 * The same core for one command, reachable through its own socket. No port, job, timer, schedule,
 * module or sweep runs; the next server does the work that a request leaves. The caller holds the
 * lock on the data directory.
 */
export async function startCommandApp(options: BaseOptions, socket: string): Promise<CommandApp> {
  const { loaded } = options;
  const { config } = loaded;
  const { secrets } = config;
  const readsOnly = secrets.hasEncryptionKey ? null : withoutKey();
  const forOne = {
    store: { ...config.store, writer: "main" as const },
    tls: { certFile: undefined, keyFile: undefined },
  };
  const own = { ...loaded, config: { ...config, ...forOne, secrets: secrets.orRandom() } };
  const parts = await openParts({ ...options, readsOnly, scansIn: "main", loaded: own }, true);
  const { lastSeq } = parts.offers.auditHead;
  const listening = listenForCommand(parts.core.listener, socket);
  const stop = async (): Promise<void> => {
    await stopCommand(parts, lastSeq);
    if (listening !== socket) rmSync(dirname(listening), { recursive: true, force: true });
  };
  return { socket: listening, parts, stop };
}

/** Not all file systems have sockets: then it is in a temporary directory that only this user may enter. */
function listenForCommand(listener: HttpListener, socket: string): string {
  try {
    listener.listenControl(socket);
    return socket;
  } catch (error) {
    if (!(error instanceof ControlSocketRefused)) throw error;
    const temporary = join(mkdtempSync(join(tmpdir(), "prism-")), basename(socket));
    listener.listenControl(temporary);
    return temporary;
  }
}

function withoutKey(): PrismError {
  return new PrismError("NOT_CONFIGURED", "This needs the encryption key of the database (PRISM_ENCRYPTION_KEY)");
}

async function openParts(options: BaseOptions, isForCommand = false): Promise<Parts> {
  const base = openBase(options);
  const { bus, cluster, clockTrust, configuration, emergency } = base;
  const core = openCore(base, isForCommand, () => features.offers);
  const features = new OpenFeatures(core, {
    ...{ bus, cluster, clockTrust, configuration, emergency, builtIn: [] },
    reloadSettings: (next) => reloadSources(parts, next),
    ownWarnings: () => warningsOf(base, core),
    sealedColumns: SEALED_COLUMNS,
  });
  const parts: Parts = { base, core, offers: features.offers, features };
  await features.open();
  await base.storage.start();
  // What an effect starts goes on when the client of the request that caused it has gone.
  base.database.whenCommitted((effect) =>
    currentCaller() === SYSTEM ? features.apply(effect) : runAs(SYSTEM, () => features.apply(effect)),
  );
  if (!base.readsOnly) await features.all("upgrade");
  await features.all("load");
  await registerFeatures(parts);
  return parts;
}
