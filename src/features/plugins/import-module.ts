import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import semver from "semver";
import { importFile, VERSION } from "../../core/runtime.ts";
import type { AppModule } from "../../module/module-api.ts";
import { failureOf, ModuleFailure, withinLimit } from "./module-failure.ts";
import { copyModule, type ModuleFolder } from "./modules-directory.ts";

/** Whether a text is a version of semver.org, without the `v` and the spaces that npm takes too. */
export function isVersion(text: string): boolean {
  return /^\d\S*$/.test(text) && semver.valid(text) !== null;
}

/**
 * Whether a version lies in a range as npm writes them. A pre-release counts as the release that it leads to.
 * @returns undefined for a range that cannot be read.
 */
export function isInRange(version: string, range: string): boolean | undefined {
  if (semver.validRange(range) === null) return undefined;
  const parsed = semver.parse(version);
  return parsed ? semver.satisfies(`${parsed.major}.${parsed.minor}.${parsed.patch}`, range) : undefined;
}

const MODULE_NAME = /^[a-z][a-z0-9-]{1,63}$/;

/** What `import` gave for a module's file: its default export, which must be a module. @throws ModuleFailure */
function checkModule(imported: unknown): AppModule {
  const module = defaultOf(imported);
  if (typeof module !== "object" || module === null) throw new ModuleFailure("the default export is not a module");
  const { name, version, register, dispose, requires } = module as Partial<Record<keyof AppModule, unknown>>;
  if (typeof name !== "string" || !MODULE_NAME.test(name))
    throw new ModuleFailure("the module's name must be 2 to 64 lower-case letters, digits and hyphens, a letter first");
  if (typeof version !== "string" || !isVersion(version))
    throw new ModuleFailure(`the version of ${name} must be one of semver.org, such as 1.0.0`);
  if (typeof register !== "function") throw new ModuleFailure(`${name} has no register function`);
  if (dispose !== undefined && typeof dispose !== "function")
    throw new ModuleFailure(`dispose of ${name} is no function`);
  checkRequires(name, requires);
  return module as AppModule;
}

/** A CommonJS file's default is its `module.exports`, whose own `default` a compiler may have made. */
function defaultOf(imported: unknown): unknown {
  const { default: first } = imported as { default?: unknown };
  const second = typeof first === "object" && first !== null && "default" in first ? first.default : undefined;
  return second ?? first;
}

function checkRequires(name: string, requires: unknown): void {
  if (requires === undefined) return;
  const { prism, modules = [] } = Object(requires) as { prism?: unknown; modules?: unknown };
  if (!Array.isArray(modules) || !modules.every((each) => typeof each === "string"))
    throw new ModuleFailure(`requires.modules of ${name} must be a list of names`);
  if (prism === undefined) return;
  const isServed = typeof prism === "string" ? isInRange(VERSION, prism) : undefined;
  if (isServed === undefined) throw new ModuleFailure(`requires.prism of ${name} cannot be read; write it like >=0.1`);
  if (!isServed) throw new ModuleFailure(`${name} requires Prism ${prism}, and this is ${VERSION}`);
}

/** What must be there before a module is registered. */
export function requiredModules(module: AppModule): readonly string[] {
  return module.requires?.modules ?? [];
}

/**
 * The order in which modules are registered: by name, each behind what it requires.
 * @returns those that can be, and why each of the others cannot: it requires itself through others, or one that is not there.
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

/** Imports modules from copies of their folders: the engine never reads a path twice, and so each copy has one of its own. */
export class ModuleImporter {
  readonly #copiesDir: string;
  readonly #isStrict: boolean;
  #last = 0;

  /** @param isStrict others must not be able to change what is imported. */
  constructor(copiesDir: string, isStrict: boolean) {
    this.#copiesDir = copiesDir;
    this.#isStrict = isStrict;
  }

  /** @throws ModuleFailure with what is wrong, in the words of whoever found it. Nothing remains of the copy then. */
  async import({ path, folder, entry }: ModuleFolder): Promise<ImportedModule> {
    this.#last++;
    const copy = join(this.#copiesDir, `${folder}-${this.#last}`);
    try {
      // What an earlier process left there is no part of the module.
      await rm(copy, { recursive: true, force: true });
      await copyModule(path, copy, this.#isStrict);
      const { href } = pathToFileURL(join(copy, entry));
      const imported = await withinLimit(importFile(href), IMPORT_LIMIT_MS, "import");
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
