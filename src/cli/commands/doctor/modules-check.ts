import { existsSync } from "node:fs";
import type { Config } from "../../../config/load.ts";
import { moduleFiles } from "../../../features/plugins/copy-module.ts";
import { findModules, type ModuleFolder } from "../../../features/plugins/find-modules.ts";
import { type Check, fail, pass, warn } from "./check.ts";
import type { DoctorDatabase } from "./doctor-database.ts";

const NAME = "modules";

/**
 * Whether what stands in the modules directory can be loaded; in production nobody else may be able to change it (contract 9). Nothing where there
 * is none.
 */
export async function checkModulesDir({ modulesDir, env }: Config): Promise<Check[]> {
  if (!existsSync(modulesDir)) return [];
  const { modules, empty } = findModules(modulesDir);
  const checks = empty.map(({ folder, reason }) => warn(NAME, `${folder}: ${reason}`));
  for (const module of modules) {
    const reason = await unsafeReasonOf(module);
    if (reason === null) continue;
    if (env === "production") checks.push(fail(NAME, `${module.folder}: ${reason}`));
    else checks.push(warn(NAME, `${module.folder} would not be loaded in production: ${reason}`));
  }
  return checks.length > 0 ? checks : [pass(NAME, `${modules.length} in ${modulesDir}, which nobody else can write`)];
}

/** What became of them when a server last loaded them. */
export async function checkModuleStates(db: DoctorDatabase): Promise<Check[]> {
  const rows = await db.selectFrom("modules").select(["name", "state", "error"]).orderBy("name").execute();
  return rows.flatMap(({ name, state, error }) => {
    if (state === "disabled") return [pass(NAME, `${name} is disabled`)];
    if (error === null) return [];
    if (state === "active") return [warn(NAME, `the last reload of ${name} changed nothing: ${error}`)];
    return [warn(NAME, `${name} is not active: ${error}`, `POST /api/v1/modules/${name}/reload when it is mended`)];
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
