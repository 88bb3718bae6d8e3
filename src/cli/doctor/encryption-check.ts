import type { Config } from "../../config/load.ts";
import { sealedBoxOf } from "../../config/sealed-box.ts";
import { SEALED_COLUMNS } from "../../services/sealed-columns.ts";
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
  const unused = spare === 0 ? "" : `; the ${spare === 1 ? "previous key" : `${spare} previous keys`} can go`;
  return [pass("encryption", `${counts.current} values, all with the current key${unused}`)];
}
