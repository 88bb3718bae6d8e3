import { type Config, ConfigRefused, sealedBoxOf } from "../../../config/load.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { archiveKeys, archivesText } from "../../../features/records/backup/doctor.ts";
import { SLICED_LIMIT_MS } from "../../../remote/server-client.ts";
import type { Resealed } from "../../../store/sealed-column.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { withServer } from "../../with-server.ts";

/**
 * `key rotate --encryption`: everything at rest is encrypted with the current key, by the server
 * that runs, if that has the key.
 * @throws CommandError 4 beside a server without the key, 1 when something is left that no
 * configured key opens
 */
export async function rotateEncryption(context: CommandContext): Promise<void> {
  const { out } = context;
  const { config } = context.loadConfig("none");
  const keyId = keyIdOf(config);
  const done = await withServer(
    context,
    (api) => api.post<Resealed>("/api/v1/operator/encryption", { keyId }, SLICED_LIMIT_MS),
    { localOnly: "key rotate" },
  ).catch((error: unknown) => {
    if (!(error instanceof ServerRefused) || error.code !== "INVALID_STATE") throw error;
    throw new CommandError(EXIT.unreachable, error.message, { cause: error });
  });
  out.result(done, () => `${done.resealed} values re-encrypted`);
  if (done.unreadable > 0) {
    const what = countText(done.unreadable, "value was", "values were");
    throw new CommandError(
      EXIT.failure,
      `${what} encrypted with a key that is not configured; ` +
        "add it to PRISM_PREVIOUS_ENCRYPTION_KEYS and run this again",
    );
  }
  if (config.previousEncryptionKeys.length > 0) out.note(await noteOnPreviousKeys(config));
}

const KEEP_KEYS = "keep the keys in PRISM_PREVIOUS_ENCRYPTION_KEYS";
const REMOVE_KEYS = "remove the keys from PRISM_PREVIOUS_ENCRYPTION_KEYS";

async function noteOnPreviousKeys(config: Config): Promise<string> {
  const { previous } = await archiveKeys(config);
  const database = "The database no longer needs the previous keys. Archives from before this rotation do";
  if (previous.length > 0)
    return `${database}: ${KEEP_KEYS} as long as you keep ${archivesText(previous)} and those elsewhere.`;
  return `${database}: none are in the data directory; if you keep none elsewhere either, ${REMOVE_KEYS}.`;
}

/** Id of the key that this command knows; undefined where the server alone has one. */
function keyIdOf(config: Config): string | undefined {
  try {
    return sealedBoxOf(config).keyId.toString("hex");
  } catch (error) {
    if (error instanceof ConfigRefused) return undefined;
    throw error;
  }
}
