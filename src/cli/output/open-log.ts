import type { Config } from "../../config/load.ts";
import { createLogger, type ReloadableLogger } from "../../config/logger.ts";
import type { Context } from "../context.ts";
import { prettyLog } from "./pretty-log.ts";

/** The log of a command that runs on: JSON, one object per line; on the terminal of a developer, lines for people. */
export function openLog({ out }: Context, { env, debug, log: { level } }: Config): ReloadableLogger {
  const isForPeople = env === "development" && process.stdout.isTTY === true && !out.json;
  return createLogger({ level, debug, ...(isForPeople ? { destination: prettyLog(out) } : {}) });
}
