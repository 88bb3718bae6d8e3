import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { claimStrays } from "../../core/runtime.ts";
import { requiredModules } from "./check-module.ts";
import { InstanceEnded } from "./ended-services.ts";
import { findModules, moduleAt, whyEmpty } from "./find-modules.ts";
import { ModuleFailure } from "./module-failure.ts";
import { type LivesParts, ModuleLives } from "./module-lives.ts";
import { registrationOrder } from "./module-order.ts";
import { deleteModuleRow, type ModuleRow, type ModuleState, putModuleRow, readModuleRows } from "./module-rows.ts";
import { ModuleSlot, UNKNOWN_VERSION } from "./module-slot.ts";
import type { Watchdog } from "./watchdog.ts";

export interface LoadedModulesParts extends LivesParts {
  readonly watchdog: Watchdog;
}

/** A module as operators see it. */
export interface ModuleView {
  readonly name: string;
  /** Null while its code could not be read. */
  readonly version: string | null;
  readonly state: ModuleState;
  readonly enabled: boolean;
  readonly builtIn: boolean;
  /** Its folder in the modules directory; null for the program's own. */
  readonly folder: string | null;
  readonly error: string | null;
  readonly routes: readonly string[];
  readonly updatedAt: string | null;
}

const STACK_LINES = 50;

/** What an operator does to a module, by the name of its audit row. */
type ModuleAction = "module.enable" | "module.disable" | "module.reload";

/**
 * The modules of the modules directory (contract 9): found, imported from copies, registered in order, each of them so that whatever it does
 * harms no other. What happens to them happens one after the other. A module's state: `loading` → `active` or `failed`; `disabled` until enabled.
 */
export class LoadedModules {
  readonly #parts: LoadedModulesParts;
  readonly #lives: ModuleLives;
  #last: Promise<unknown> = Promise.resolve();
  #isClaimed = false;
  #isStopped = false;

  constructor(parts: LoadedModulesParts) {
    this.#parts = parts;
    this.#lives = new ModuleLives(parts);
  }

  /** Loads what is there, and makes the modules directory where there is none. Nothing that a module does makes it throw. */
  start(): Promise<void> {
    if (!this.#hasDirectory()) return Promise.resolve();
    return this.#alone(() => this.#loadAll());
  }

  /** By name; the program's own, too. */
  list(): ModuleView[] {
    const own = this.#parts.builtIn.map(builtInView);
    return [...own, ...this.#lives.slots.map(moduleView)].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws MODULE_NOT_FOUND, INVALID_STATE for the program's own */
  enable(name: string): Promise<ModuleView> {
    return this.#alone(async () => {
      const slot = this.#require(name);
      if (slot.isEnabled) return moduleView(slot);
      await this.#intend(slot, "module.enable", { state: "loading", error: null, isEnabled: true });
      await this.#load(slot);
      return moduleView(slot);
    });
  }

  /** Ends it, now and at every start, until it is enabled. @throws MODULE_NOT_FOUND, INVALID_STATE also while another requires it */
  disable(name: string): Promise<ModuleView> {
    return this.#alone(async () => {
      const slot = this.#require(name);
      if (!slot.isEnabled) return moduleView(slot);
      const dependent = this.#lives.slots.find(({ run }) => run && requiredModules(run.module).includes(name));
      if (dependent)
        throw new PrismError("INVALID_STATE", `The module ${dependent.name} requires it; disable that first`);
      await this.#intend(slot, "module.disable", { state: "disabled", error: null, isEnabled: false });
      await this.#lives.end(slot);
      this.#lives.route();
      await this.#lives.forget(slot);
      return moduleView(slot);
    });
  }

  /**
   * Takes over what its folder holds now; also of one that was put there since the start. The one that runs goes on where that fails.
   * @throws MODULE_NOT_FOUND, INVALID_STATE for a disabled one and the program's own
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

  /** The folder has changed: another module, a new one, or one less. */
  folderChanged(folder: string): Promise<void> {
    return this.#alone(async () => {
      const slot = this.#lives.slots.find((each) => each.folder.folder === folder) ?? this.#discover(folder);
      const path = join(this.#parts.modulesDir, folder);
      if (!slot && existsSync(path)) this.#parts.log.warn({ folder }, whyEmpty(path));
      if (!slot?.isEnabled) return;
      if (moduleAt(this.#parts.modulesDir, folder)) await this.#renew(slot);
      else await this.#remove(slot);
    });
  }

  /** Ends them all, the last first. */
  async stop(): Promise<void> {
    await this.#alone(async () => {
      this.#isStopped = true;
      for (const slot of [...this.#lives.slots].reverse()) await this.#lives.end(slot, true);
    });
    await this.#parts.watchdog.stop();
  }

  /** Whether there is a modules directory now. */
  #hasDirectory(): boolean {
    const { modulesDir, log } = this.#parts;
    try {
      mkdirSync(modulesDir, { recursive: true, mode: 0o755 });
      return true;
    } catch (error) {
      log.warn(
        { modulesDir, err: error },
        "the modules directory is not there and cannot be made; no module is loaded",
      );
      return false;
    }
  }

  async #loadAll(): Promise<void> {
    const { importer, modulesDir, log, services } = this.#parts;
    const rows = await readModuleRows(services.database.read);
    const { modules, empty } = findModules(modulesDir);
    for (const { folder, reason } of empty) log.warn({ folder }, reason);
    if (modules.length === 0 && rows.length === 0) return;
    const slots = modules.map((folder) => slotOf(folder, rows));
    this.#lives.slots = slots;
    await importer.clear();
    const loading = slots.filter(({ isEnabled }) => isEnabled);
    await this.#persist(loading);
    if (loading.length > 0) this.#watch();
    await Promise.all(loading.map((slot) => this.#lives.import(slot)));
    for (const slot of slots) this.#settleName(slot, rows);
    await this.#registerAll(slots.filter(({ state, isEnabled }) => isEnabled && state !== "failed"));
    this.#lives.route();
    const gone = rows.filter((row) => row.isEnabled && !slots.some((slot) => slot.name === row.name));
    await this.#persist(slots, gone);
  }

  async #registerAll(slots: readonly ModuleSlot[]): Promise<void> {
    const byModule = new Map(slots.flatMap((slot) => (slot.imported ? [[slot.imported.module, slot] as const] : [])));
    const { order, failed } = registrationOrder([...byModule.keys()], (name) => this.#lives.isBuiltIn(name));
    for (const [module, failure] of failed) {
      const slot = byModule.get(module);
      if (slot) this.#lives.failed(slot, failure);
    }
    for (const module of order) {
      const slot = byModule.get(module);
      if (slot) await this.#lives.register(slot);
    }
  }

  /** Imports and registers a module that does not run. */
  async #load(slot: ModuleSlot): Promise<void> {
    this.#watch();
    if (slot.imported) await this.#parts.importer.remove(slot.imported.copy);
    slot.folder = moduleAt(this.#parts.modulesDir, slot.folder.folder) ?? slot.folder;
    const { name } = slot;
    if (await this.#lives.import(slot)) {
      slot.state = "loading";
      this.#settleName(slot, []);
      if (slot.state === "loading") await this.#lives.register(slot);
    }
    this.#lives.route();
    await this.#persist([slot], name === slot.name ? [] : [{ name }]);
  }

  async #renew(slot: ModuleSlot): Promise<void> {
    if (!slot.run) return this.#load(slot);
    await this.#lives.replace(slot);
    await this.#persist([slot]);
  }

  /** The module's own name, which it has said by now, in place of its folder's; unless somebody has it. */
  #settleName(slot: ModuleSlot, rows: readonly ModuleRow[]): void {
    const { module } = slot.imported ?? {};
    if (!module || slot.state === "failed") return;
    const { slots } = this.#lives;
    const other = slots.find((each) => each !== slot && each.isNamed && each.name === module.name);
    if (this.#lives.isBuiltIn(module.name) || other) {
      const whose = other ? `that of the folder ${other.folder.folder}` : "one of Prism's own";
      slot.name = `folder:${slot.folder.folder}`;
      this.#lives.failed(
        slot,
        new ModuleFailure(`the name ${module.name} is ${whose}; each module needs one of its own`),
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
    slot.became("disabled", null, row.updatedAt);
  }

  /** A folder that was put there since: one of those that are there, for a name can come from a request. */
  #discover(folder: string): ModuleSlot | undefined {
    const found = findModules(this.#parts.modulesDir).modules.find((each) => each.folder === folder);
    if (!found) return undefined;
    const slot = new ModuleSlot(found);
    this.#lives.slots.push(slot);
    return slot;
  }

  async #remove(slot: ModuleSlot): Promise<void> {
    await this.#lives.end(slot);
    this.#lives.slots = this.#lives.slots.filter((each) => each !== slot);
    this.#lives.route();
    await this.#lives.forget(slot);
    if (slot.imported) await this.#parts.importer.remove(slot.imported.copy);
    await this.#persist([], [slot]);
    this.#parts.log.info({ module: slot.name }, "module removed: its folder is gone");
  }

  /** What an operator wants, on disk with its audit row before anything is done about it. */
  async #intend(
    slot: ModuleSlot,
    action: ModuleAction,
    { state, error, isEnabled }: Pick<ModuleSlot, "state" | "error" | "isEnabled">,
  ): Promise<void> {
    const { services, clock } = this.#parts;
    const row = { ...slot.row(), state, error, isEnabled, updatedAt: clock.now() };
    await services.database.write(async (trx) => {
      await putModuleRow(trx, row);
      const { name: resourceId, version } = row;
      await services.audit.record({ action, resourceType: "module", resourceId, metadata: { version } }, { trx });
    });
    slot.isEnabled = isEnabled;
    slot.became(state, error, row.updatedAt);
  }

  async #persist(slots: readonly ModuleSlot[], gone: readonly { readonly name: string }[] = []): Promise<void> {
    await this.#parts.services.database.write(async (trx) => {
      for (const { name } of gone) await deleteModuleRow(trx, name);
      for (const slot of slots) await putModuleRow(trx, slot.row());
    });
  }

  /**
   * From the first import on: what a module leaves uncaught is its own, and does not end the process. That holds until the process ends: timers
   * that a module has not cleared fail while the server stops.
   */
  #watch(): void {
    const { watchdog, scope, log } = this.#parts;
    watchdog.start();
    if (this.#isClaimed) return;
    this.#isClaimed = true;
    // A module's own line is below Prism's in a stack: the usual ten lines end before it.
    Error.stackTraceLimit = Math.max(Error.stackTraceLimit, STACK_LINES);
    claimStrays((error) => {
      if (error instanceof InstanceEnded) return true;
      const module = scope.current ?? this.#ofStack(error);
      if (module === undefined) return false;
      log.error({ module, err: error }, "a module left an error uncaught");
      return true;
    });
  }

  #ofStack(error: unknown): string | undefined {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    return this.#lives.slots.find(({ imported }) => imported && stack.includes(`${imported.copy}/`))?.name;
  }

  #find(name: string): ModuleSlot | undefined {
    return this.#lives.slots.find((each) => each.name === name);
  }

  /** @throws MODULE_NOT_FOUND, INVALID_STATE */
  #require(name: string): ModuleSlot {
    if (this.#lives.isBuiltIn(name))
      throw new PrismError("INVALID_STATE", "The module is a part of Prism; it is always active");
    const slot = this.#find(name);
    if (!slot) throw new PrismError("MODULE_NOT_FOUND", "No such module");
    return slot;
  }

  /** One thing at a time. @throws SHUTTING_DOWN */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(() => {
      if (this.#isStopped) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
      return work();
    });
    this.#last = next.catch(() => undefined);
    return next;
  }
}

/** What is known of a folder before its code is read. */
function slotOf(folder: ConstructorParameters<typeof ModuleSlot>[0], rows: readonly ModuleRow[]): ModuleSlot {
  const slot = new ModuleSlot(folder);
  const row = rows.find((each) => each.path === folder.path);
  if (!row) return slot;
  const { name, version, routes: places, isEnabled, updatedAt } = row;
  return Object.assign(slot, {
    name,
    version,
    places,
    isEnabled,
    updatedAt,
    state: isEnabled ? "loading" : "disabled",
  });
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
