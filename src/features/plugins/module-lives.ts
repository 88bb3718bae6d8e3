import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import { within } from "../../core/within.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Router } from "../../http/router.ts";
import type { AppModule } from "../../module/module-api.ts";
import { requiredModules } from "./check-module.ts";
import { moduleAt } from "./find-modules.ts";
import type { ImportedModule, ModuleImporter } from "./import-module.ts";
import { causeOf, failureOf, failureText, ModuleFailure } from "./module-failure.ts";
import { queueOf } from "./module-jobs.ts";
import { requireFree, routesOf } from "./module-places.ts";
import { ModuleRun } from "./module-run.ts";
import type { ModuleScope } from "./module-scope.ts";
import { type Lasting, type ModuleServiceParts, moduleServices } from "./module-services.ts";
import type { ModuleSlot } from "./module-slot.ts";

export interface LivesParts {
  readonly services: ModuleServiceParts;
  readonly router: Router;
  readonly importer: ModuleImporter;
  readonly scope: ModuleScope;
  readonly clock: Clock;
  readonly log: Logger;
  readonly modulesDir: string;
  /** Counts the bytes of a body that is kept. @returns what gives them back. @throws OVERLOADED */
  readonly hold: (exchange: Exchange, bytes: number) => () => void;
  /** The program's own features. */
  readonly builtIn: readonly { readonly name: string; readonly version: string }[];
  readonly registerLimitMs?: number | undefined;
}

/** How long a module's running work may hold up what is to happen to it. */
const IDLE_LIMIT_MS = 5000;

/** Begins, ends and replaces the lives of modules. What goes wrong in one is that one's state, and nobody else's. */
export class ModuleLives {
  slots: ModuleSlot[] = [];
  readonly #parts: LivesParts;

  constructor(parts: LivesParts) {
    this.#parts = parts;
  }

  isBuiltIn(name: string): boolean {
    return this.#parts.builtIn.some((each) => each.name === name);
  }

  /** The routes of all of them are served from now on, as they stand. */
  route(): void {
    this.#parts.router.replaceLoaded(routesOf(this.slots, this.#parts.router));
  }

  /** Reads the module's code. @returns whether it could; else the module has failed. */
  async import(slot: ModuleSlot): Promise<boolean> {
    try {
      slot.imported = await this.#read(slot);
      this.#parts.log.debug({ module: slot.name, folder: slot.folder.folder }, "a module is imported");
      return true;
    } catch (error) {
      this.failed(slot, error);
      return false;
    }
  }

  /** Begins its life. */
  async register(slot: ModuleSlot): Promise<void> {
    const { clock, log } = this.#parts;
    const failure = slot.imported && (await this.#tryRun(slot, slot.imported));
    if (failure !== null) {
      this.failed(slot, failure);
      return;
    }
    slot.became("active", null, clock.now());
    log.info({ module: slot.name, version: slot.version, routes: slot.run?.routes.length ?? 0 }, "module loaded");
  }

  failed(slot: ModuleSlot, error: unknown): void {
    slot.became("failed", failureText(error), this.#parts.clock.now());
    const { name: module, error: reason } = slot;
    const facts = { module, folder: slot.folder.folder, reason, err: causeOf(error) };
    this.#parts.log.error(facts, "a module was not loaded");
  }

  /** Puts what its folder holds now in the place of what runs. Where that fails the former instance goes on. */
  async replace(slot: ModuleSlot): Promise<void> {
    const { clock, log } = this.#parts;
    const failure = await this.#tryReplace(slot);
    const error = failure && failureText(failure);
    const isActive = slot.run !== null;
    if (failure === null) log.info({ module: slot.name, version: slot.version }, "module reloaded");
    else log.error({ module: slot.name, error, isActive, err: causeOf(failure) }, "a module was not reloaded");
    slot.became(isActive ? "active" : "failed", error, clock.now());
  }

  /**
   * Ends its life: what it added goes, what runs may end, what it took it gives back.
   * @param isLast at the end of the server, whose runner ends jobs itself.
   */
  async end(slot: ModuleSlot, isLast = false): Promise<void> {
    const { services, log } = this.#parts;
    const { run, name } = slot;
    if (!run) return;
    if (!isLast) services.runner.withdraw(queueOf(name));
    const ended = run.end();
    if (!(await run.idle(IDLE_LIMIT_MS)))
      log.warn({ module: name }, "something of a module still runs that has been ended");
    await within(IDLE_LIMIT_MS, ended);
    const error = await run.dispose();
    if (error !== null) log.warn({ module: name, error }, "a module could not dispose of what it took");
    run.close();
    log.debug({ module: name, version: run.module.version }, "an instance of a module has ended");
    slot.run = null;
  }

  /** Takes away what its registrations made that lasts. */
  async forget(slot: ModuleSlot): Promise<void> {
    await this.#sweep(slot.name, slot.lasting, nothingLasting());
    slot.lasting = nothingLasting();
  }

  /** @returns what it requires and does not have. */
  missing(module: AppModule): ModuleFailure | undefined {
    const isActive = (name: string): boolean =>
      this.isBuiltIn(name) || this.slots.some((each) => each.name === name && each.run);
    const name = requiredModules(module).find((each) => !isActive(each));
    if (name === undefined) return undefined;
    return new ModuleFailure(`${module.name} requires the module ${name}, which is not active`);
  }

  #read(slot: ModuleSlot): Promise<ImportedModule> {
    const { importer, scope } = this.#parts;
    return scope.run(slot.name, () => importer.import(slot.folder));
  }

  /** @returns why the former instance goes on, or, if it cannot, why none does; null when the new one has taken over. */
  async #tryReplace(slot: ModuleSlot): Promise<ModuleFailure | null> {
    const { importer, modulesDir } = this.#parts;
    const { imported: former, lasting } = slot;
    if (!former) throw new TypeError("only a module that runs is replaced");
    slot.folder = moduleAt(modulesDir, slot.folder.folder) ?? slot.folder;
    const next = await this.#read(slot).catch(asFailure);
    if (next instanceof ModuleFailure) return next;
    const failure = this.missing(next.module) ?? renamed(slot, next.module.name);
    if (failure) {
      await importer.remove(next.copy);
      return failure;
    }
    // Requests wait at the door for the time in which neither lives.
    slot.close();
    try {
      await this.end(slot);
      const error = await this.#tryRun(slot, next);
      await importer.remove(error === null ? former.copy : next.copy);
      if (error === null) {
        await this.#sweep(slot.name, lasting, slot.lasting);
        return null;
      }
      const again = await this.#tryRun(slot, former);
      slot.lasting = lasting;
      if (again === null) return error;
      return new ModuleFailure(`${error.message}; and the former instance could not go on: ${again.message}`, {
        cause: causeOf(error),
      });
    } finally {
      this.route();
      slot.open();
    }
  }

  /** @returns why it is not active. */
  async #tryRun(slot: ModuleSlot, imported: ImportedModule): Promise<ModuleFailure | null> {
    const { clock, scope, log, router, services, hold, registerLimitMs } = this.#parts;
    const missing = this.missing(imported.module);
    if (missing) return missing;
    const lasting = nothingLasting();
    const run = new ModuleRun({
      module: imported.module,
      scope,
      log,
      clock,
      caps: services.config.modules,
      hold,
      registerLimitMs,
      requireFree: (path) => requireFree(path, slot, this.slots, router),
      held: (exchange, body) => slot.held(router, exchange, body, hold),
      services: (each) => moduleServices(each, services, lasting),
    });
    try {
      await run.register();
    } catch (error) {
      return failureOf(error, imported.copy);
    }
    Object.assign(slot, { imported, run, lasting, version: imported.module.version });
    services.runner.serve(queueOf(slot.name));
    return null;
  }

  /** What a registration made that lasts, and the one after it did not make again. */
  async #sweep(module: string, before: Lasting, after: Lasting): Promise<void> {
    const { timer, schedules } = this.#parts.services;
    for (const id of before.timers) if (!after.timers.has(id)) await timer.cancel(id, { module });
    for (const name of before.schedules) if (!after.schedules.has(name)) await schedules.remove(name);
  }
}

function nothingLasting(): Lasting {
  return { timers: new Set(), schedules: new Set() };
}

function asFailure(error: unknown): ModuleFailure {
  return error instanceof ModuleFailure ? error : new ModuleFailure(failureText(error), { cause: error });
}

function renamed(slot: ModuleSlot, name: string): ModuleFailure | undefined {
  if (name === slot.name) return undefined;
  return new ModuleFailure(`the module is called ${name} now and was ${slot.name}; a new name needs a restart`);
}
