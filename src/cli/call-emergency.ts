import type { LoadedConfig } from "../config/load.ts";
import { publicUrlOf } from "../config/public-url.ts";
import { systemClock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { describeFailure } from "./output/exit-codes.ts";

/** Longer than one attempt of each way. */
const LIMIT_MS = 12_000;
/** Codes of failures that say that the store takes no writes. */
const STORE_CODES: ReadonlySet<string> = new Set(["DATA_DIR_REFUSED", "STORAGE_FULL", "DATABASE_UNAVAILABLE"]);

/**
 * Calls the ways of `emergency` for a server that ends, or does not start, because its store refuses
 * writes. Resolves when they have answered; at once for other errors, and without settings.
 */
export async function callEmergency({ config }: LoadedConfig, log: Logger, error: unknown): Promise<void> {
  const failure = describeFailure(error);
  if (!failure || !STORE_CODES.has(failure.code)) return;
  await callForStore({ config }, log, `the server did not start: ${failure.summary}`);
}

/** As {@link callEmergency}, for a server whose writer has ended. */
export async function callForStore({ config }: Pick<LoadedConfig, "config">, log: Logger, text: string): Promise<void> {
  const { Emergency } = await import("../features/emergency/emergency.ts");
  const emergency = new Emergency({
    ...{ dataDir: config.dataDir, clock: systemClock, log: log.namespace("emergency") },
    options: () => config.emergency,
    serverUrl: () => publicUrlOf(config, config.port),
  });
  emergency.raise("store-refuses-writes", { text });
  await emergency.settled(LIMIT_MS);
}
