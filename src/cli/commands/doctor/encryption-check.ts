import { SEALED_COLUMNS } from "../../../app/sealed-columns.ts";
import type { Config } from "../../../config/load.ts";
import { sealedBoxOf } from "../../../config/load.ts";
import { archiveKeys, archivesText } from "../server/archive-keys.ts";
import { type Check, fail, pass, warn } from "./check.ts";
import type { DoctorDatabase } from "./doctor-database.ts";

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
