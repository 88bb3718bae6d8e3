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
import { stop } from "./stop.ts";

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
  const base = openBase(options);
  const core = await startCore(base);
  const http = openHttp(base, core.access);
  const services = openServices(base, core, http);
  applyEffects(base, core, services);
  const upkeep = openUpkeep(base, core, http, services);
  const parts: Parts = { base, core, http, services, upkeep };
  await registerFeatures(parts);
  await listen(parts, options.acceptAudit === true);
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
