import pino, { type DestinationStream, type Logger as Pino } from "pino";
import type { LogFields, Logger } from "../core/log.ts";
import { LineWriter } from "./line-writer.ts";
import { redactFields, redactText } from "./redact.ts";

const ROOT = "prism";
const STDOUT = 1;

export interface LoggerOptions {
  readonly level: "error" | "warn" | "info" | "debug";
  /** Patterns as of the `debug` package: `prism:*`, `prism:http,prism:rules`, `-prism:http`; `dms:*` means every namespace (S4). */
  readonly debug?: string | undefined;
  readonly destination?: DestinationStream | undefined;
}

export interface ReloadableLogger extends Logger {
  /** Takes new levels over at once, in every namespace. */
  reload(options: Pick<LoggerOptions, "level" | "debug">): void;
}

/**
 * pino, one JSON object per line, written at once: a line that is lost in a crash is the one that would have explained it. Secrets are kept out
 * by not logging them; what slips in all the same is masked by its name, and by its look.
 */
export function createLogger(options: LoggerOptions): ReloadableLogger {
  const target = options.destination ?? new LineWriter(STDOUT);
  const root = pino(
    {
      level: "debug",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      serializers: { err: (plain: unknown) => plain },
    },
    { write: (line) => target.write(redactText(line)) },
  );
  const made: { readonly pino: Pino; readonly name: string }[] = [];
  let current: Pick<LoggerOptions, "level" | "debug"> = options;
  const namespaced = (name: string): Logger => {
    const child = root.child({ ns: name });
    child.level = levelOf(name, current);
    made.push({ pino: child, name });
    return wrap(child, (sub) => namespaced(`${name}:${sub}`));
  };
  return {
    ...namespaced(ROOT),
    reload(next) {
      current = next;
      for (const { pino, name } of made) pino.level = levelOf(name, next);
    },
  };
}

function wrap(logger: Pino, namespace: (name: string) => Logger): Logger {
  return {
    error: (fields: LogFields, message: string) => logger.error(fields, message),
    warn: (fields: LogFields, message: string) => logger.warn(fields, message),
    info: (fields: LogFields, message: string) => logger.info(fields, message),
    debug: (fields: LogFields, message: string) => logger.debug(fields, message),
    isDebug: () => logger.isLevelEnabled("debug"),
    namespace,
  };
}

function levelOf(name: string, { level, debug }: Pick<LoggerOptions, "level" | "debug">): string {
  return debug !== undefined && selects(debug, name) ? "debug" : level;
}

function selects(patterns: string, name: string): boolean {
  let selected = false;
  for (const part of patterns.split(/[\s,]+/)) {
    const excludes = part.startsWith("-");
    const pattern = (excludes ? part.slice(1) : part).replace(/^dms(?=:|$)/, ROOT);
    if (pattern === "") continue;
    const regex = new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
    // `prism:*` also selects the root itself, as a reader expects.
    if (regex.test(name) || regex.test(`${name}:`)) selected = !excludes;
  }
  return selected;
}
