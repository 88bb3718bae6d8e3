import { realpathSync } from "node:fs";
import { delimiter, join, relative } from "node:path";
import { executablePath } from "../../core/runtime.ts";
import { cleanText, codePointLength } from "../../core/text/clean-text.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

const MAX_LABEL = 100;

/** The name of a token or key in stored form. @throws CommandError 7 if empty or too long */
export function requireLabel(text: string, flag: string): string {
  const label = cleanText(text).trim();
  if (label === "" || codePointLength(label) > MAX_LABEL)
    throw new CommandError(EXIT.conflict, `${flag} must be 1 to ${MAX_LABEL} characters long`);
  return label;
}

/** @throws CommandError 7 for a time in the past */
export function requireFuture(at: number | undefined): void {
  if (at !== undefined && at <= Date.now())
    throw new CommandError(EXIT.conflict, `--expires ${new Date(at).toISOString()} has passed`);
}

/** `prism` before a command, but not the user of `sudo -u prism`. */
const COMMAND = /(?<![\w./-]|-u )prism (?=[a-z\u2026])/g;

/**
 * Replaces commands in a message by their form in the reader's shell: `./dist/prism tail` in a
 * checkout, without `prism` on the PATH.
 */
export function asTyped(text: string): string {
  const executable = executablePath();
  if (executable === null || text.search(COMMAND) < 0 || isOnPath(executable)) return text;
  const fromHere = relative(process.cwd(), executable);
  const path = fromHere.startsWith("..") ? executable : `./${fromHere}`;
  const typed = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  return text.replaceAll(COMMAND, `${typed} `);
}

/** @returns undefined for a path, or a link's target, that is missing */
export function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function isOnPath(executable: string): boolean {
  const [first] = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((dir) => realPathOf(join(dir, "prism")))
    .filter((path) => path !== undefined);
  return first !== undefined && first === realPathOf(executable);
}

/** A time in this terminal's time zone with its offset: `2026-03-29 03:00:05.250 +02:00`. */
export function localTime(rfc3339: string): string {
  const at = new Date(rfc3339);
  const offset = -at.getTimezoneOffset();
  const wall = new Date(at.getTime() + offset * 60_000).toISOString();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${wall.slice(0, 10)} ${wall.slice(11, 23)} ${offset < 0 ? "-" : "+"}${hours}:${minutes}`;
}

/** A sentence of the server with its times as {@link localTime}. */
export function withLocalTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, localTime);
}
