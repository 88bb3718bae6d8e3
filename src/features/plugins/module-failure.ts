import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { withinOr } from "../../core/promises.ts";

/** A position in a module's code, as `file:line:column`. */
type SourceLocation = string;

/**
 * The position of an error in a module's own code: the first stack line inside the copy, or for a
 * syntax error, whose stack omits the file, the position at which the parser stops. @param copy the
 * folder the module was imported from.
 */
function locationOf(error: unknown, copy: string): SourceLocation | undefined {
  if (!(error instanceof Error)) return undefined;
  return (
    locationInStack(error.stack ?? "", copy) ?? (error.name === "SyntaxError" ? syntaxLocation(error, copy) : undefined)
  );
}

function locationInStack(stack: string, copy: string): SourceLocation | undefined {
  const prefixes = [`${pathToFileURL(copy).href}/`, `${copy}/`];
  for (const line of stack.split("\n"))
    for (const prefix of prefixes) {
      const at = line.indexOf(prefix);
      const found = at < 0 ? null : /^[^\s()]+?:\d+(?::\d+)?(?=\)?$)/.exec(line.slice(at + prefix.length));
      if (found) return found[0];
    }
  return undefined;
}

const MAX_FILES = 200;

/** Parses the module's files as scripts until one fails with the same error. */
function syntaxLocation(error: Error, copy: string): SourceLocation | undefined {
  const files = readdirSync(copy, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.[cm]?js$/.test(file) && !file.includes("node_modules"))
    .slice(0, MAX_FILES);
  for (const file of files) {
    const location = parsedTo(readFileSync(join(copy, file), "utf8"), error.message);
    if (location !== undefined) return `${relative(copy, join(copy, file))}:${location}`;
  }
  return undefined;
}

const IMPORT = /^[ \t]*(?:import\s[^"'()]*?from\s*|import\s*|export\s[^"'()=]*?from\s*)["'][^"'\n]*["'];?/gm;
const EXPORT_LIST = /^[ \t]*export\s*\{[^}]*\};?/gm;
const EXPORT_DEFAULT = /^([ \t]*)export default/gm;
const EXPORT = /^([ \t]*)export(?=\s)/gm;

/**
 * Line and column at which parsing fails with this message. Module-only syntax is blanked out
 * without moving anything.
 */
function parsedTo(text: string, message: string): string | undefined {
  const blank = (found: string): string => found.replace(/[^\n]/g, " ");
  const script = text
    .replace(IMPORT, blank)
    .replace(EXPORT_LIST, blank)
    .replace(EXPORT_DEFAULT, "$1       void   ")
    .replace(EXPORT, "$1      ")
    .replaceAll("import.meta", "import_meta");
  try {
    new Script(`async function* module() {\n${script}\n}`, { filename: "module", lineOffset: -1 });
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError) || error.message !== message) return undefined;
    const [first = "", , marks = ""] = (error.stack ?? "").split("\n");
    const line = Number(/^module:(\d+)$/.exec(first)?.[1]);
    const lines = text.trimEnd().split("\n").length;
    // After the last line comes the wrapper: the text ends too early.
    return line > lines ? `${lines}` : `${line}:${marks.indexOf("^") + 1}`;
  }
}

/** Why a module is not active, for operators, with the next step if possible. */
export class ModuleFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ModuleFailure";
  }
}

/** An error thrown by a module's code, with its position. @param copy the imported folder */
export function failureOf(error: unknown, copy: string): ModuleFailure {
  const location = locationOf(error, copy);
  const text = failureText(error);
  return new ModuleFailure(location === undefined ? text : `${text} (${location})`, { cause: error });
}

/** The error to log for a failure: that of the module's own code, if there is one. */
export function causeOf(failure: unknown): unknown {
  return failure instanceof ModuleFailure && failure.cause !== undefined ? failure.cause : failure;
}

const MAX_LENGTH = 2000;

/** A module's error message, shortened for a table. */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? (error.message === "" ? error.name : error.message) : String(error);
  return text.slice(0, MAX_LENGTH);
}

/** Settles like `work`. @throws ModuleFailure after the time limit. */
export function withinLimit<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  return withinOr(limitMs, work, () => {
    throw new ModuleFailure(`${what} has not ended within ${limitMs / 1000} s`);
  });
}
