import { existsSync } from "node:fs";
import { SEALED_COLUMNS } from "../../../app/sealed-columns.ts";
import { type Config, sealedBoxOf } from "../../../config/load.ts";
import { findModules, type ModuleFolder, moduleFiles } from "../../../features/plugins/modules-directory.ts";
import { archiveKeys, archivesText } from "../server/archives.ts";
import { type Check, fail, pass, warn } from "./check.ts";
import type { DoctorDatabase } from "./queues-check.ts";

/** With which keys the values at rest are encrypted. */
export async function checkEncryption(db: DoctorDatabase, config: Config): Promise<Check[]> {
  const sealed = (await Promise.all(SEALED_COLUMNS.map((column) => column.byKey(db)))).flat();
  // A new database needs no key yet, and there may be none.
  if (sealed.length === 0) return [pass("encryption", "nothing is encrypted yet")];
  const { keyIds, keyId } = sealedBoxOf(config);
  const counts = { current: 0, previous: 0, unknown: 0 };
  for (const { keyId: id, values } of sealed) {
    const hex = Buffer.from(id).toString("hex");
    counts[hex === keyId.toString("hex") ? "current" : keyIds.includes(hex) ? "previous" : "unknown"] += values;
  }
  if (counts.unknown > 0) {
    const what = `${counts.unknown} values are encrypted with a key that is not configured`;
    return [fail("encryption", what, "add it to PRISM_PREVIOUS_ENCRYPTION_KEYS")];
  }
  if (counts.previous > 0)
    return [warn("encryption", `${counts.previous} values need a previous key`, "prism key rotate --encryption")];
  const spare = config.previousEncryptionKeys.length;
  const { previous, unknown } = await archiveKeys(config);
  const checks = [
    pass("encryption", `${counts.current} values, all with the current key${spareText(spare, previous)}`),
  ];
  if (unknown.length > 0) {
    const what = `${archivesText(unknown)} can be restored only with a key that is not configured`;
    checks.push(warn("encryption", what, "keep that key, or remove them"));
  }
  return checks;
}

function spareText(spare: number, archives: readonly string[]): string {
  if (spare === 0) return "";
  const keys = spare === 1 ? "previous key" : `${spare} previous keys`;
  if (archives.length > 0) return `; keep the ${keys} for ${archivesText(archives)}`;
  return `; the ${keys} can go unless archives elsewhere need it`;
}

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
