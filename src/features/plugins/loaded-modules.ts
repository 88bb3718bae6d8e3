import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { captureUncaught } from "../../core/runtime.ts";
import { toRfc3339OrNull } from "../../core/time/clock.ts";
import { doc, named } from "../../http/api/shapes.ts";
import { registrationOrder, requiredModules } from "./import-module.ts";
import { ModuleFailure } from "./module-failure.ts";
import { InstanceEnded } from "./module-instance.ts";
import { ModuleLifecycle, type ModulesContext } from "./module-lifecycle.ts";
import {
  deleteModuleRow,
  MODULE_STATES,
  type ModuleRow,
  ModuleSlot,
  putModuleRow,
  readModuleRows,
  UNKNOWN_VERSION,
} from "./module-slot.ts";
import { findModules, moduleAt, uncompiledModules, whyEmpty } from "./modules-directory.ts";

/** A module as operators see it. */
export const ModuleView = named(
  "Module",
  "A module",
  v.object({
    name: v.string(),
    version: doc(v.nullable(v.string()), "Null when its code cannot be read"),
    state: v.picklist(MODULE_STATES),
    enabled: v.boolean(),
    builtIn: doc(v.boolean(), "A part of Prism, which is always active"),
    folder: doc(v.nullable(v.string()), "Its folder in the modules directory"),
    error: doc(v.nullable(v.string()), "Reason why it is not active, or why its last reload failed"),
    routes: doc(v.array(v.string()), "Method and path of each; they answer 503 while it is not active"),
    updatedAt: v.nullable(v.string()),
  }),
);
export type ModuleView = v.InferOutput<typeof ModuleView>;

const STACK_LINES = 50;

/** An operator's action on a module, named like its audit row. */
type ModuleAction = "module.enable" | "module.disable" | "module.reload";

/**
 * The modules of the modules directory: found, imported from copies, registered in order, isolated
 * from each other. Changes run one at a time. States of a module: `loading` → `active` or `failed`;
 * `disabled` until enabled.
 */
export class LoadedModules {
  readonly #context: ModulesContext;
  readonly #lifecycle: ModuleLifecycle;
  #last: Promise<unknown> = Promise.resolve();
  #isClaimed = false;
  #isStopped = false;

  constructor(context: ModulesContext) {
    this.#context = context;
    this.#lifecycle = new ModuleLifecycle(context);
  }

  /** Loads the existing modules; creates a missing modules directory. No module makes it throw. */
  start(): Promise<void> {
    if (!this.#hasDirectory()) return Promise.resolve();
    return this.#alone(() => this.#loadAll());
  }

  /** By name, including the built-in ones. */
  list(): ModuleView[] {
    const own = this.#context.builtIn.map(builtInView);
    return [...own, ...this.#lifecycle.slots.map(moduleView)].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws MODULE_NOT_FOUND, INVALID_STATE for a built-in one */
  enable(name: string): Promise<ModuleView> {
    return this.#alone(async () => {
      const slot = this.#require(name);
      if (slot.isEnabled) return moduleView(slot);
      await this.#intend(slot, "module.enable", { state: "loading", error: null, isEnabled: true });
      await this.#load(slot);
      return moduleView(slot);
    });
  }

  /**
   * Stops the module, now and at every start, until it is enabled. @throws MODULE_NOT_FOUND,
   * INVALID_STATE also while another module requires it
   */
  disable(name: string): Promise<ModuleView> {
    return this.#alone(async () => {
      const slot = this.#require(name);
      if (!slot.isEnabled) return moduleView(slot);
      const dependent = this.#lifecycle.slots.find(
        ({ instance }) => instance && requiredModules(instance.module).includes(name),
      );
      if (dependent)
        throw new PrismError("INVALID_STATE", `The module ${dependent.name} requires it; disable that first`);
      await this.#intend(slot, "module.disable", { state: "disabled", error: null, isEnabled: false });
      await this.#lifecycle.end(slot);
      this.#lifecycle.route();
      await this.#lifecycle.forget(slot);
      return moduleView(slot);
    });
  }

  /**
   * Loads the current content of the folder, even if the folder is new. If that fails, the running
   * instance continues.
   * @throws MODULE_NOT_FOUND, INVALID_STATE for a disabled or built-in one
   */
  reload(name: string): Promise<ModuleView> {
    return this.#alone(async () => {
      if (!this.#find(name)) this.#discover(name);
      const slot = this.#require(name);
      if (!slot.isEnabled) throw new PrismError("INVALID_STATE", "The module is disabled; enable it first");
      await this.#intend(slot, "module.reload", slot);
      await this.#renew(slot);
      return moduleView(slot);
    });
  }

  /** A folder was changed, added or removed. */
  folderChanged(folder: string): Promise<void> {
    return this.#alone(async () => {
      const slot = this.#lifecycle.slots.find((each) => each.folder.folder === folder) ?? this.#discover(folder);
      const dirs = this.#context.modulesDirs;
      const isThere = dirs.some((dir) => existsSync(join(dir, folder)));
      if (!slot && isThere) this.#context.log.warn({ folder }, whyEmpty(dirs, folder));
      if (!slot?.isEnabled) return;
      if (moduleAt(dirs, folder)) await this.#renew(slot);
      else await this.#remove(slot);
    });
  }

  /** Stops all modules in reverse order. */
  async stop(): Promise<void> {
    await this.#alone(async () => {
      this.#isStopped = true;
      for (const slot of [...this.#lifecycle.slots].reverse()) await this.#lifecycle.end(slot, true);
    });
    await this.#context.watchdog.stop();
  }

  #hasDirectory(): boolean {
    const { modulesDir, log } = this.#context;
    try {
      mkdirSync(modulesDir, { recursive: true, mode: 0o755 });
      return true;
    } catch (error) {
      log.warn({ modulesDir, err: error }, "cannot create the modules directory; no module is loaded");
      return false;
    }
  }

  async #loadAll(): Promise<void> {
    const { importer, modulesDir, modulesDirs, log, services } = this.#context;
    const rows = await readModuleRows(services.db.read);
    const { modules, empty } = findModules(modulesDirs);
    for (const { folder, reason } of [...empty, ...uncompiledModules(modulesDir)]) log.warn({ folder }, reason);
    if (modules.length === 0 && rows.length === 0) return;
    const slots = modules.map((folder) => new ModuleSlot(folder, rows));
    this.#lifecycle.slots = slots;
    await importer.clear();
    const loading = slots.filter(({ isEnabled }) => isEnabled);
    await this.#persist(loading);
    if (loading.length > 0) this.#watch();
    await Promise.all(loading.map((slot) => this.#lifecycle.import(slot)));
    for (const slot of slots) this.#takeName(slot, rows);
    await this.#registerAll(slots.filter(({ state, isEnabled }) => isEnabled && state !== "failed"));
    this.#lifecycle.route();
    const gone = rows.filter((row) => row.isEnabled && !slots.some((slot) => slot.name === row.name));
    await this.#persist(slots, gone);
  }

  async #registerAll(slots: readonly ModuleSlot[]): Promise<void> {
    const byModule = new Map(slots.flatMap((slot) => (slot.imported ? [[slot.imported.module, slot] as const] : [])));
    const { order, failed } = registrationOrder([...byModule.keys()], (name) => this.#lifecycle.isBuiltIn(name));
    for (const [module, failure] of failed) {
      const slot = byModule.get(module);
      if (slot) this.#lifecycle.failed(slot, failure);
    }
    for (const module of order) {
      const slot = byModule.get(module);
      if (slot) await this.#lifecycle.register(slot);
    }
  }

  /** Imports and registers a module that is not running. */
  async #load(slot: ModuleSlot): Promise<void> {
    this.#watch();
    if (slot.imported) await this.#context.importer.remove(slot.imported.copy);
    slot.folder = moduleAt(this.#context.modulesDirs, slot.folder.folder) ?? slot.folder;
    const { name } = slot;
    if (await this.#lifecycle.import(slot)) {
      slot.state = "loading";
      this.#takeName(slot, []);
      if (slot.state === "loading") await this.#lifecycle.register(slot);
    }
    this.#lifecycle.route();
    await this.#persist([slot], name === slot.name ? [] : [{ name }]);
  }

  async #renew(slot: ModuleSlot): Promise<void> {
    if (!slot.instance) return this.#load(slot);
    await this.#lifecycle.replace(slot);
    await this.#persist([slot]);
  }

  /** Replaces the folder's name by the module's own, unless that is taken. */
  #takeName(slot: ModuleSlot, rows: readonly ModuleRow[]): void {
    const { module } = slot.imported ?? {};
    if (!module || slot.state === "failed") return;
    const { slots } = this.#lifecycle;
    const other = slots.find((each) => each !== slot && each.isNamed && each.name === module.name);
    if (this.#lifecycle.isBuiltIn(module.name) || other) {
      const owner = other ? `that of the folder ${other.folder.folder}` : "one of Prism's own";
      slot.name = `folder:${slot.folder.folder}`;
      this.#lifecycle.failed(
        slot,
        new ModuleFailure(`the name ${module.name} is ${owner}; each module needs one of its own`),
      );
      return;
    }
    slot.isNamed = true;
    slot.name = module.name;
    slot.version = module.version;
    const row = rows.find(({ name }) => name === module.name);
    if (!row) return;
    slot.places = row.routes;
    if (row.isEnabled) return;
    slot.isEnabled = false;
    slot.setState("disabled", null, row.updatedAt);
  }

  /** Finds a new folder by listing the directory, because the name can come from a request. */
  #discover(folder: string): ModuleSlot | undefined {
    const found = findModules(this.#context.modulesDirs).modules.find((each) => each.folder === folder);
    if (!found) return undefined;
    const slot = new ModuleSlot(found);
    this.#lifecycle.slots.push(slot);
    return slot;
  }

  async #remove(slot: ModuleSlot): Promise<void> {
    await this.#lifecycle.end(slot);
    this.#lifecycle.slots = this.#lifecycle.slots.filter((each) => each !== slot);
    this.#lifecycle.route();
    await this.#lifecycle.forget(slot);
    if (slot.imported) await this.#context.importer.remove(slot.imported.copy);
    await this.#persist([], [slot]);
    this.#context.log.info({ module: slot.name }, "module removed: its folder is gone");
  }

  /** Stores the operator's intent with its audit row before acting on it. */
  async #intend(
    slot: ModuleSlot,
    action: ModuleAction,
    { state, error, isEnabled }: Pick<ModuleSlot, "state" | "error" | "isEnabled">,
  ): Promise<void> {
    const { services, clock } = this.#context;
    const row = { ...slot.row(), state, error, isEnabled, updatedAt: clock.now() };
    await services.db.write(async (trx) => {
      await putModuleRow(trx, row);
      const { name: resourceId, version } = row;
      await services.audit.record({ action, resourceType: "module", resourceId, metadata: { version } }, { trx });
    });
    slot.isEnabled = isEnabled;
    slot.setState(state, error, row.updatedAt);
  }

  async #persist(slots: readonly ModuleSlot[], gone: readonly { readonly name: string }[] = []): Promise<void> {
    await this.#context.services.db.write(async (trx) => {
      for (const { name } of gone) await deleteModuleRow(trx, name);
      for (const slot of slots) await putModuleRow(trx, slot.row());
    });
  }

  /**
   * From the first import on, an uncaught error of a module does not end the process. This stays on
   * until the process ends: timers that a module has not cleared may fail while the server stops.
   */
  #watch(): void {
    const { watchdog, scope, log } = this.#context;
    watchdog.start();
    if (this.#isClaimed) return;
    this.#isClaimed = true;
    // A module's own line is below Prism's in a stack, beyond the default ten lines.
    Error.stackTraceLimit = Math.max(Error.stackTraceLimit, STACK_LINES);
    captureUncaught((error) => {
      if (error instanceof InstanceEnded) return true;
      const module = scope.current ?? this.#ofStack(error);
      if (module === undefined) return false;
      log.error({ module, err: error }, "uncaught error in a module");
      return true;
    });
  }

  #ofStack(error: unknown): string | undefined {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    return this.#lifecycle.slots.find(({ imported }) => imported && stack.includes(`${imported.copy}/`))?.name;
  }

  #find(name: string): ModuleSlot | undefined {
    return this.#lifecycle.slots.find((each) => each.name === name);
  }

  /** @throws MODULE_NOT_FOUND, INVALID_STATE */
  #require(name: string): ModuleSlot {
    if (this.#lifecycle.isBuiltIn(name))
      throw new PrismError("INVALID_STATE", "The module is a part of Prism; it is always active");
    const slot = this.#find(name);
    if (slot) return slot;
    const { modulesDir, modulesDirs } = this.#context;
    const folders = [...findModules(modulesDirs).empty, ...uncompiledModules(modulesDir)];
    const reason = folders.find(({ folder }) => folder === name)?.reason;
    throw new PrismError("MODULE_NOT_FOUND", reason === undefined ? "No such module" : `No such module: ${reason}`);
  }

  /** Serialises changes. @throws SHUTTING_DOWN */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(() => {
      if (this.#isStopped) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
      return work();
    });
    this.#last = next.catch(() => undefined);
    return next;
  }
}

function builtInView({ name, version }: { readonly name: string; readonly version: string }): ModuleView {
  const nothing = { folder: null, error: null, routes: [], updatedAt: null };
  return { name, version, state: "active", enabled: true, builtIn: true, ...nothing };
}

function moduleView(slot: ModuleSlot): ModuleView {
  return {
    name: slot.name,
    version: slot.version === UNKNOWN_VERSION ? null : slot.version,
    state: slot.state,
    enabled: slot.isEnabled,
    builtIn: false,
    folder: slot.folder.folder,
    error: slot.error,
    routes: slot.places.map(({ method, path }) => `${method} ${path}`),
    updatedAt: toRfc3339OrNull(slot.updatedAt === 0 ? null : slot.updatedAt),
  };
}
