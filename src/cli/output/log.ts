import type { Config } from "../../config/load.ts";
import { createLogger, type ReloadableLogger } from "../../config/logger.ts";
import type { Context } from "../context.ts";
import { type Output, printable } from "./output.ts";

/** The log of a command that runs on: JSON, one object per line; on the terminal of a developer, lines for people. */
export function openLog({ out }: Context, { env, debug, log: { level } }: Config): ReloadableLogger {
  const isForPeople = env === "development" && process.stdout.isTTY === true && !out.json;
  return createLogger({ level, debug, ...(isForPeople ? { destination: prettyLog(out) } : {}) });
}

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly ns: string;
  readonly msg: string;
  readonly err?: { readonly stack?: string };
}

/** Log lines for a person who watches a development server; everywhere else they stay JSON. */
function prettyLog(out: Output): { write(line: string): void } {
  const paint: Readonly<Record<string, (text: string) => string>> = {
    error: (text) => out.red(text),
    warn: (text) => out.yellow(text),
    debug: (text) => out.dim(text),
  };
  return {
    write(line) {
      const { time, level, ns, msg, err, ...fields } = JSON.parse(line) as LogLine;
      const head = `${out.dim(time.slice(11, 23))} ${(paint[level] ?? String)(level.padEnd(5))} ${ns.replace(/^prism:/, "")}`;
      const rest = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
      process.stdout.write(`${[head, printable(msg), out.dim(rest.join(" "))].join("  ").trimEnd()}\n`);
      if (err?.stack) process.stdout.write(`${err.stack}\n`);
    },
  };
}

function shown(value: unknown): string {
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}
