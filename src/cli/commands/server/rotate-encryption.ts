import { reseal } from "../../../app/sealed-columns.ts";
import type { Config } from "../../../config/load.ts";
import { sealedBoxOf } from "../../../config/load.ts";
import type { Database } from "../../../store/database.ts";
import { SERVER_KEYS_SETTING } from "../../../store/sealed-settings.ts";
import { DataDirLock } from "../../../store/sqlite/data-dir-lock.ts";
import { type Context, refuseUrl } from "../../context.ts";
import { requireDatabase } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { withExistingStore } from "../access/admin-store.ts";
import { archiveKeys, archivesText } from "./archives.ts";

/**
 * `key rotate --encryption`: everything at rest comes under the current encryption key. Beside a
 * running server too, if that has the key: it opens by key id, and seals with the same one.
 * @throws CommandError 4 beside a server without the key, 1 when something is left that no
 * configured key opens
 */
export async function rotateEncryption(context: Context): Promise<void> {
  refuseUrl(context, "key rotate");
  const loaded = context.loadConfig("encryption");
  requireDatabase(loaded);
  const { config } = loaded;
  const box = sealedBoxOf(config);
  const { out } = context;
  const progress = out.progress("encrypting anew");
  const done = await withExistingStore(context, async ({ database, audit }) => {
    if (DataDirLock.isHeld(config)) await requireServerWithKey(database, box.keyId);
    return reseal({ database, audit, box }, (resealed) => progress.update(resealed));
  }).finally(() => progress.end());
  out.result(done, () => `${done.resealed} values encrypted anew`);
  if (done.unreadable > 0) {
    const what = done.unreadable === 1 ? "1 value was" : `${done.unreadable} values were`;
    throw new CommandError(
      EXIT.failure,
      `${what} encrypted with a key that is not configured; add it to PRISM_PREVIOUS_ENCRYPTION_KEYS and run this again`,
    );
  }
  if (config.previousEncryptionKeys.length > 0) out.note(await noteOnPreviousKeys(config));
}

async function noteOnPreviousKeys(config: Config): Promise<string> {
  const { previous } = await archiveKeys(config);
  const database = "The database needs the previous keys no more. Archives from before this rotation do";
  if (previous.length > 0)
    return `${database}: keep the keys in PRISM_PREVIOUS_ENCRYPTION_KEYS as long as you keep ${archivesText(previous)} and those elsewhere.`;
  return `${database}: none are in the data directory; if you keep none elsewhere either, take the keys out of PRISM_PREVIOUS_ENCRYPTION_KEYS.`;
}

async function requireServerWithKey(database: Database, keyId: Buffer): Promise<void> {
  const row = await database.read
    .selectFrom("settings")
    .select("value")
    .where("key", "=", SERVER_KEYS_SETTING)
    .executeTakeFirst();
  const known: unknown = JSON.parse(String(row?.value ?? "[]"));
  if (Array.isArray(known) && known.includes(keyId.toString("hex"))) return;
  throw new CommandError(
    EXIT.unreachable,
    "the running server does not have this encryption key yet; restart it with the new PRISM_ENCRYPTION_KEY and the old one in PRISM_PREVIOUS_ENCRYPTION_KEYS first",
  );
}
