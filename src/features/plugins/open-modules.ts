import { join } from "node:path";
import type { BodyReader } from "../../http/body.ts";
import type { Router } from "../../http/router.ts";
import type { Hub } from "../../live/hub.ts";
import type { Projects } from "../access/index.ts";
import type { IngestService } from "../events/index.ts";
import { EventConsumers, notifyBus } from "../events/index.ts";
import type { Announcer } from "../notifications/index.ts";
import { ModuleImporter } from "./import-module.ts";
import { LoadedModules } from "./loaded-modules.ts";
import { ModuleScope } from "./module-instance.ts";
import { featureServices, type ModuleServiceParts } from "./module-services.ts";
import { ModuleWatch, modulesDirs } from "./modules-directory.ts";
import { Watchdog } from "./watchdog.ts";

export interface ModulesParts extends ModuleServiceParts {
  readonly router: Router;
  readonly ingest: IngestService;
  readonly projects: Projects;
  readonly hub: Hub;
  readonly bodies: BodyReader;
  readonly announcer: Announcer;
  readonly builtIn: readonly { readonly name: string; readonly version: string }[];
}

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
export function openModules({ router, hub, bodies, announcer, builtIn, ...parts }: ModulesParts): ModulesServices {
  const { config, database, reader, clock, bus, ingest, projects } = parts;
  const log = parts.log.namespace("modules");
  const head = (): number => hub.head({ kind: "project", projectId: "" });
  const consumers = new EventConsumers({ database, reader, clock, log: parts.log.namespace("consumers"), head });
  bus.connect({ database, ingest, projects, consumers });
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
