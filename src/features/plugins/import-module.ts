import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { importFile } from "../../core/runtime.ts";
import type { AppModule } from "../../module/module-api.ts";
import { failureOf, ModuleFailure, withinLimit } from "./module-failure.ts";
import { copyModule, type ModuleFolder } from "./modules-directory.ts";

/** Names of the modules that must be registered first. */
export function requiredModules(module: AppModule): readonly string[] {
  return module.requires?.modules ?? [];
}

/**
 * The order of registration: by name, each after its requirements.
 * @returns the modules that can be registered, and the reason for each of the others: a cycle, or a
 * missing requirement.
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
        failed.set(module, new ModuleFailure(`${module.name} requires the module ${name}, which does not exist`));
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

/** A module's code, and the copy of its folder it was imported from. */
export interface ImportedModule {
  readonly module: AppModule;
  readonly copy: string;
}

/**
 * Imports modules from copies of their folders: the engine never imports a path twice, so each
 * import needs its own copy.
 */
export class ModuleImporter {
  readonly #copiesDir: string;
  readonly #isStrict: boolean;
  #last = 0;

  /** @param isStrict requires that others cannot change the imported files. */
  constructor(copiesDir: string, isStrict: boolean) {
    this.#copiesDir = copiesDir;
    this.#isStrict = isStrict;
  }

  /** @throws ModuleFailure with the original message. The copy is removed then. */
  async import({ path, folder, entry }: ModuleFolder): Promise<ImportedModule> {
    this.#last++;
    const copy = join(this.#copiesDir, `${folder}-${this.#last}`);
    try {
      // Removes the copy of an earlier process.
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

  /** Removes a copy. Imported files are not read again. */
  async remove(copy: string): Promise<void> {
    await rm(copy, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Removes the copies of an earlier process. */
  async clear(): Promise<void> {
    await this.remove(this.#copiesDir);
  }
}
