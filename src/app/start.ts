import type { Config } from "../config/load.ts";
import { awaitFirstAdmin, type FirstAdmin } from "../features/access/index.ts";
import type { CoreServices } from "../module/module-api.ts";
import { applyEffects } from "./effects.ts";
import { listen, reload, startWork } from "./listen.ts";
import { openHttp } from "./open-http.ts";
import { openServices } from "./open-services.ts";
import { type BaseOptions, openBase } from "./open-store.ts";
import { openUpkeep } from "./open-upkeep.ts";
import type { Parts } from "./parts.ts";
import { registerFeatures, servicesOf } from "./register-features.ts";
import { startCore } from "./start-core.ts";
import { stop, stopCommand } from "./stop.ts";

export interface AppOptions extends BaseOptions {
  /** Takes the audit trail as it is where `audit.head` says otherwise. */
  readonly acceptAudit?: boolean;
}

/** A running Prism. */
export interface App {
  readonly port: number;
  /** What every module is given. */
  readonly services: CoreServices;
  /** For tests, diagnosis and `prism seed`. */
  readonly parts: Parts;
  /** How the first administrator comes to be; a setup token in it is to be shown now. */
  readonly firstAdmin: FirstAdmin;
  /** Takes over the settings that may change while it runs. */
  reload(config: Config): void;
  /**
   * Stops in order: no new requests, those under way are answered, sockets told to come back, jobs
   * ended, the database closed.
   */
  stop(): Promise<void>;
}

/**
 * The composition root. The schema is current and the caller holds the lock on the data directory.
 * @throws ListenRefused, ConfigRefused
 */
export async function startApp(options: AppOptions): Promise<App> {
  const parts = await openParts(options);
  await listen(parts, options.acceptAudit === true);
  const { base } = parts;
  const { config, database, clock, log } = base;
  const firstAdmin = await awaitFirstAdmin({ config, database, clock, log: log.namespace("auth") });
  await startWork(parts);
  return {
    port: base.listening.port,
    services: servicesOf("prism", parts),
    parts,
    firstAdmin,
    reload: (next) => reload(parts, next),
    stop: () => stop(parts),
  };
}

/**
 * The same core for one command, reachable by a socket of its own. Nothing runs by itself: no port,
 * job, timer, schedule, module or sweep; what a request leaves to do is done by the next server.
 * The caller holds the lock on the data directory.
 */
export async function startCommandApp(options: BaseOptions, socket: string): Promise<{ stop(): Promise<void> }> {
  const { config } = options;
  const forOne = {
    store: { ...config.store, writer: "main" as const },
    tls: { certFile: undefined, keyFile: undefined },
  };
  const parts = await openParts({ ...options, config: { ...config, ...forOne } });
  const { lastSeq } = parts.upkeep.auditHead;
  parts.http.listener.listenControl(socket);
  return { stop: () => stopCommand(parts, lastSeq) };
}

async function openParts(options: BaseOptions): Promise<Parts> {
  const base = openBase(options);
  const core = await startCore(base);
  const http = openHttp(base, core.access);
  const services = openServices(base, core, http);
  applyEffects(base, core, services);
  const upkeep = openUpkeep(base, core, http, services);
  const parts: Parts = { base, core, http, services, upkeep };
  await registerFeatures(parts);
  return parts;
}
