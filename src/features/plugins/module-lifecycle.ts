import { within } from "../../core/promises.ts";
import type { Uses } from "../../module/feature.ts";
import type { AppModule } from "../../module/module-api.ts";
import { loadTimes } from "../time/timers/index.ts";
import { type ImportedModule, type ModuleImporter, requiredModules } from "./import-module.ts";
import { causeOf, failureOf, failureText, ModuleFailure } from "./module-failure.ts";
import { ModuleInstance, type ModuleScope } from "./module-instance.ts";
import { queueOf } from "./module-jobs.ts";
import type { RouteParts } from "./module-routes.ts";
import {
  type DurableRegistrations,
  type ModuleServiceParts,
  moduleServices,
  nothingDurable,
} from "./module-services.ts";
import { assertRoutesFree, type ModuleSlot, routesOf } from "./module-slot.ts";
import { moduleAt } from "./modules-directory.ts";
import type { Watchdog } from "./watchdog.ts";

/** Dependencies of loading modules. */
export interface ModulesContext extends Uses<"router" | "clock" | "log"> {
  readonly services: ModuleServiceParts;
  readonly importer: ModuleImporter;
  readonly scope: ModuleScope;
  readonly watchdog: Watchdog;
  /** Created at the start if missing. */
  readonly modulesDir: string;
  /** All directories with modules, `modulesDir` first. */
  readonly modulesDirs: readonly string[];
  /** Counts the bytes of a body that a handler keeps. */
  readonly hold: RouteParts["hold"];
  readonly builtIn: readonly { readonly name: string; readonly version: string }[];
}

/** Time limit for a module's running work when it ends. */
const IDLE_LIMIT_MS = 5000;

/** Starts, stops and replaces instances of modules. A failure affects only its own module. */
export class ModuleLifecycle {
  slots: ModuleSlot[] = [];
  readonly #context: ModulesContext;

  constructor(context: ModulesContext) {
    this.#context = context;
  }

  isBuiltIn(name: string): boolean {
    return this.#context.builtIn.some((each) => each.name === name);
  }

  /** Passes the current routes of all modules to the router. */
  route(): void {
    this.#context.router.replaceLoaded(routesOf(this.slots, this.#context.router));
  }

  /** Imports the module's code. @returns whether it succeeded; otherwise the module has failed. */
  async import(slot: ModuleSlot): Promise<boolean> {
    try {
      slot.imported = await this.#read(slot);
      this.#context.log.debug({ module: slot.name, folder: slot.folder.folder }, "importing module");
      return true;
    } catch (error) {
      this.failed(slot, error);
      return false;
    }
  }

  /** Starts an instance of the imported code. */
  async register(slot: ModuleSlot): Promise<void> {
    const { clock, log } = this.#context;
    const failure = slot.imported && (await this.#tryStart(slot, slot.imported));
    if (failure !== null) {
      this.failed(slot, failure);
      return;
    }
    slot.setState("active", null, clock.now());
    log.info({ module: slot.name, version: slot.version, routes: slot.instance?.routes.length ?? 0 }, "module loaded");
  }

  failed(slot: ModuleSlot, error: unknown): void {
    slot.setState("failed", failureText(error), this.#context.clock.now());
    const { name: module, error: reason } = slot;
    const facts = { module, folder: slot.folder.folder, reason, err: causeOf(error) };
    this.#context.log.error(facts, "cannot load module");
  }

  /** Replaces the running instance by the folder's content; if that fails, it continues. */
  async replace(slot: ModuleSlot): Promise<void> {
    const { clock, log } = this.#context;
    const failure = await this.#tryReplace(slot);
    const error = failure && failureText(failure);
    const isActive = slot.instance !== null;
    if (failure === null) log.info({ module: slot.name, version: slot.version }, "module reloaded");
    else log.error({ module: slot.name, error, isActive, err: causeOf(failure) }, "cannot reload module");
    slot.setState(isActive ? "active" : "failed", error, clock.now());
  }

  /**
   * Stops the instance: undoes its additions, waits for running work, disposes it. Its routes
   * answer 503 until {@link route} is called.
   * @param isLast when the server stops, whose runner ends jobs itself.
   */
  async end(slot: ModuleSlot, isLast = false): Promise<void> {
    const { services, log } = this.#context;
    const { instance, name } = slot;
    if (!instance) return;
    if (!isLast) services.runner.withdraw(queueOf(name));
    const ended = instance.end();
    if (!(await instance.idle(IDLE_LIMIT_MS))) log.warn({ module: name }, "stopped module still has running work");
    await within(IDLE_LIMIT_MS, ended);
    const error = await instance.dispose();
    if (error !== null) log.warn({ module: name, error }, "dispose() of a module failed");
    instance.close();
    log.debug({ module: name, version: instance.module.version }, "module instance ended");
    slot.instance = null;
  }

  /** Removes its durable registrations. */
  async forget(slot: ModuleSlot): Promise<void> {
    await this.#sweep(slot.name, slot.durable, nothingDurable());
    slot.durable = nothingDurable();
  }

  #read(slot: ModuleSlot): Promise<ImportedModule> {
    const { importer, scope } = this.#context;
    return scope.run(slot.name, () => importer.import(slot.folder));
  }

  /**
   * @returns why the former code continues, or, if it cannot, why the module has failed; null when
   * the new code is active.
   */
  async #tryReplace(slot: ModuleSlot): Promise<ModuleFailure | null> {
    const { importer, modulesDirs } = this.#context;
    const { imported: former } = slot;
    if (!former) throw new TypeError("only a module that runs is replaced");
    slot.folder = moduleAt(modulesDirs, slot.folder.folder) ?? slot.folder;
    const next = await this.#read(slot).catch(asFailure);
    if (next instanceof ModuleFailure) return next;
    const failure = this.#missing(next.module) ?? renamed(slot, next.module.name);
    if (failure) {
      await importer.remove(next.copy);
      return failure;
    }
    try {
      await this.end(slot);
      return await this.#startNext(slot, next, former);
    } finally {
      this.route();
    }
  }

  async #startNext(slot: ModuleSlot, next: ImportedModule, former: ImportedModule): Promise<ModuleFailure | null> {
    const { importer } = this.#context;
    const { durable } = slot;
    const error = await this.#tryStart(slot, next);
    await importer.remove(error === null ? former.copy : next.copy);
    if (error === null) {
      await this.#sweep(slot.name, durable, slot.durable);
      return null;
    }
    const again = await this.#tryStart(slot, former);
    slot.durable = durable;
    if (again === null) return error;
    return new ModuleFailure(`${error.message}; the former instance could not continue either: ${again.message}`, {
      cause: causeOf(error),
    });
  }

  /** @returns why it is not active. */
  async #tryStart(slot: ModuleSlot, imported: ImportedModule): Promise<ModuleFailure | null> {
    const { clock, scope, log, router, services, hold } = this.#context;
    const missing = this.#missing(imported.module);
    if (missing) return missing;
    const durable = nothingDurable();
    const instance = new ModuleInstance(imported.module, {
      scope,
      log,
      clock,
      caps: services.config.modules,
      hold,
      addChannel: (channel) => services.serviceChannels.addModuleChannel(channel),
      assertRoutesFree: (path) => assertRoutesFree(path, slot, this.slots, router),
      services: (each) => moduleServices(each, services, durable),
    });
    try {
      await loadTimes();
      await instance.register();
    } catch (error) {
      return failureOf(error, imported.copy);
    }
    Object.assign(slot, { imported, instance, durable, version: imported.module.version });
    services.runner.serve(queueOf(slot.name));
    return null;
  }

  /** @returns the error of a missing requirement. */
  #missing(module: AppModule): ModuleFailure | undefined {
    const isActive = (name: string): boolean =>
      this.isBuiltIn(name) || this.slots.some((each) => each.name === name && each.instance);
    const name = requiredModules(module).find((each) => !isActive(each));
    if (name === undefined) return undefined;
    return new ModuleFailure(`${module.name} requires the module ${name}, which is not active`);
  }

  /** Removes durable registrations that the new registration did not repeat. */
  async #sweep(module: string, before: DurableRegistrations, after: DurableRegistrations): Promise<void> {
    const { timer, schedules } = this.#context.services;
    for (const id of before.timers) if (!after.timers.has(id)) await timer.cancel(id, { module });
    for (const name of before.schedules) if (!after.schedules.has(name)) await schedules.remove(name);
  }
}

function asFailure(error: unknown): ModuleFailure {
  return error instanceof ModuleFailure ? error : new ModuleFailure(failureText(error), { cause: error });
}

function renamed(slot: ModuleSlot, name: string): ModuleFailure | undefined {
  if (name === slot.name) return undefined;
  return new ModuleFailure(`the module is called ${name} now and was ${slot.name}; a new name needs a restart`);
}
