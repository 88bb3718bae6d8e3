import { existsSync } from "node:fs";
import type { Config } from "../../config/load.ts";
import { type Finding, fail, pass, warn } from "../../core/finding.ts";
import type { StoredFindings } from "../../module/findings.ts";
import type { ReadDb } from "../../store/database.ts";
import { findModules, type ModuleFolder, moduleFiles } from "./modules-directory.ts";

const MODULES = "modules";

/**
 * Whether the modules directory can be loaded; in production other users must not be able to change
 * it (docs/modules.md). Nothing without a directory.
 */
export async function checkModulesDir({ modulesDir, env }: Config): Promise<Finding[]> {
  if (!existsSync(modulesDir)) return [];
  const { modules, empty } = findModules([modulesDir]);
  const checks = empty.map(({ folder, reason }) => warn(MODULES, `${folder}: ${reason}`));
  for (const module of modules) {
    const reason = await unsafeReasonOf(module);
    if (reason === null) continue;
    if (env === "production") checks.push(fail(MODULES, `${module.folder}: ${reason}`));
    else checks.push(warn(MODULES, `${module.folder} would not be loaded in production: ${reason}`));
  }
  return checks.length > 0
    ? checks
    : [pass(MODULES, `${modules.length} in ${modulesDir}, which only their owner can write`)];
}

/** States of the modules when a server last loaded them. */
export async function checkModuleStates(db: ReadDb): Promise<Finding[]> {
  const rows = await db.selectFrom("modules").select(["name", "state", "error"]).orderBy("name").execute();
  return rows.flatMap(({ name, state, error }) => {
    if (state === "disabled") return [pass(MODULES, `${name} is disabled`)];
    if (error === null) return [];
    if (state === "active") return [warn(MODULES, `the last reload of ${name} changed nothing: ${error}`)];
    return [warn(MODULES, `${name} is not active: ${error}`, `POST /api/v1/modules/${name}/reload once it is fixed`)];
  });
}

async function unsafeReasonOf({ path }: ModuleFolder): Promise<string | null> {
  try {
    for await (const _entry of moduleFiles(path, true));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^not loaded: /, "") : String(error);
  }
}

export const STORED: StoredFindings = {
  machine: { modules: ({ config }) => checkModulesDir(config) },
  last: { modules: ({ db, isWhole }) => (db && isWhole ? checkModuleStates(db) : []) },
};
