import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { importFile } from "../../core/runtime.ts";
import type { AppModule } from "../../module/module-api.ts";
import { failureOf, ModuleFailure, withinLimit } from "./module-failure.ts";
import { copyModule, type ModuleFolder } from "./modules-directory.ts";

/** What must be there before a module is registered. */
export function requiredModules(module: AppModule): readonly string[] {
  return module.requires?.modules ?? [];
}

/**
 * The order in which modules are registered: by name, each behind what it requires.
 * @returns those that can be, and why each of the others cannot: it requires itself through others,
 * or one that is not there.
 */
export function registrationOrder(
  modules: readonly AppModule[],
  isKnown: (name: string) => boolean,
): { order: AppModule[]; failed: Map<AppModule, ModuleFailure> } {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const order: AppModule[] = [];
  const failed = new Map<AppModule, ModuleFailure>();
  const visit = (module: AppModule, above: readonly string[]): void => {
    if (order.includes(module) || failed.has(module)) return;
    const way = [...above, module.name];
    for (const name of requiredModules(module)) {
      const required = byName.get(name);
      if (way.includes(name)) {
        const circle = [...way.slice(way.indexOf(name)), name].join(" -> ");
        failed.set(module, new ModuleFailure(`modules require each other: ${circle}`));
        return;
      }
      if (required) visit(required, way);
      const isMissing = !required && !isKnown(name);
      if (isMissing)
        failed.set(module, new ModuleFailure(`${module.name} requires the module ${name}, which is not there`));
      else if (required && failed.has(required))
        failed.set(module, new ModuleFailure(`${module.name} requires the module ${name}, which has failed`));
      if (failed.has(module)) return;
    }
    order.push(module);
  };
  for (const name of [...byName.keys()].sort()) visit(byName.get(name) as AppModule, []);
  return { order, failed };
}

const IMPORT_LIMIT_MS = 10_000;

/** A module's code, and the copy of its folder that it was read from. */
export interface ImportedModule {
  readonly module: AppModule;
  readonly copy: string;
}

/**
 * Imports modules from copies of their folders: the engine never reads a path twice, and so each
 * copy has one of its own.
 */
export class ModuleImporter {
  readonly #copiesDir: string;
  readonly #isStrict: boolean;
  #last = 0;

  /** @param isStrict others must not be able to change what is imported. */
  constructor(copiesDir: string, isStrict: boolean) {
    this.#copiesDir = copiesDir;
    this.#isStrict = isStrict;
  }

  /**
   * @throws ModuleFailure with what is wrong, in the words of whoever found it. Nothing remains of
   * the copy then.
   */
  async import({ path, folder, entry }: ModuleFolder): Promise<ImportedModule> {
    this.#last++;
    const copy = join(this.#copiesDir, `${folder}-${this.#last}`);
    try {
      // What an earlier process left there is no part of the module.
      await rm(copy, { recursive: true, force: true });
      await copyModule(path, copy, this.#isStrict);
      const { href } = pathToFileURL(join(copy, entry));
      const imported = await withinLimit(importFile(href), IMPORT_LIMIT_MS, "import");
      // Loaded with the first module: most servers have none, and semver takes memory.
      const { checkModule } = await import("./check-module.ts");
      return { module: checkModule(imported), copy };
    } catch (error) {
      const failure = error instanceof ModuleFailure ? error : failureOf(error, copy);
      await this.remove(copy);
      throw failure;
    }
  }

  /** Takes a copy away. Files that were imported are not read again. */
  async remove(copy: string): Promise<void> {
    await rm(copy, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Takes away what an earlier process left. */
  async clear(): Promise<void> {
    await this.remove(this.#copiesDir);
  }
}
