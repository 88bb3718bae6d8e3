import { join } from "node:path";
import type { Uses } from "../../module/feature.ts";
import { EventConsumers, notifyBus } from "../events/index.ts";
import { ModuleImporter } from "./import-module.ts";
import { LoadedModules } from "./loaded-modules.ts";
import { ModuleScope } from "./module-instance.ts";
import { featureServices, type ModuleServiceParts } from "./module-services.ts";
import { ModuleWatch, modulesDirs } from "./modules-directory.ts";
import { Watchdog } from "./watchdog.ts";

export type ModulesParts = ModuleServiceParts &
  Uses<"router" | "ingest" | "projects" | "hub" | "bodies" | "announcer" | "builtIn">;

export interface ModulesServices {
  readonly consumers: EventConsumers;
  readonly loaded: LoadedModules;
  readonly moduleWatch: ModuleWatch;
  /** The own services of a built-in feature. */
  own(name: string): ReturnType<typeof featureServices>;
}

/**
 * Creates the loader of modules, and what only modules use: readers of the event log, and committed
 * rows as bus events.
 */
export function openModules(parts: ModulesParts): ModulesServices {
  const { router, hub, bodies, announcer, builtIn, config, db, reader, clock, bus, ingest, projects } = parts;
  const log = parts.log.namespace("modules");
  const head = (): number => hub.head({ kind: "project", projectId: "" });
  const consumers = new EventConsumers({ db, reader, clock, log: parts.log.namespace("consumers"), head });
  bus.connect({ db, ingest, projects, consumers });
  notifyBus(announcer, bus, consumers);
  const watchdog = new Watchdog(log);
  const dirs = modulesDirs(config.modulesDir);
  const loaded = new LoadedModules({
    services: parts,
    router,
    importer: new ModuleImporter(join(config.dataDir, ".modules"), config.env === "production"),
    scope: new ModuleScope(watchdog),
    watchdog,
    clock,
    log,
    modulesDir: config.modulesDir,
    modulesDirs: dirs,
    hold: (exchange, bytes) => bodies.hold(exchange, bytes),
    builtIn,
  });
  const isWatched = config.modules.hotReload ?? config.env === "development";
  const moduleWatch = new ModuleWatch(dirs, isWatched, (folder) => loaded.folderChanged(folder), log);
  return { consumers, loaded, moduleWatch, own: (name) => featureServices(name, parts) };
}
