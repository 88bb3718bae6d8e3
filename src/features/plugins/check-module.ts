import semver from "semver";
import { VERSION } from "../../core/runtime.ts";
import type { AppModule } from "../../module/module-api.ts";
import { ModuleFailure } from "./module-failure.ts";

/** Whether a text is a semver.org version, without the `v` and spaces that npm accepts too. */
export function isVersion(text: string): boolean {
  return /^\d\S*$/.test(text) && semver.valid(text) !== null;
}

/**
 * Whether a version satisfies an npm range. A pre-release counts as its release.
 * @returns undefined for an invalid range.
 */
export function isInRange(version: string, range: string): boolean | undefined {
  if (semver.validRange(range) === null) return undefined;
  const parsed = semver.parse(version);
  return parsed ? semver.satisfies(`${parsed.major}.${parsed.minor}.${parsed.patch}`, range) : undefined;
}

const MODULE_NAME = /^[a-z][a-z0-9-]{1,63}$/;

/** Checks an imported module file: its default export must be a module. @throws ModuleFailure */
export function checkModule(imported: unknown): AppModule {
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

/** A CommonJS file's default is its `module.exports`, whose `default` may be a compiler's. */
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
