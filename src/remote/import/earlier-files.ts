import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "../../core/command-error.ts";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { printable } from "../../core/text/clean-text.ts";

/* What an earlier import wrote into a folder: the next one of the same program may replace it, unless someone changed it. */

/** It has values that people fill in, which the next import keeps. */
export const SECRETS_FILE = "import-secrets.env";

/** Names and digests of the files of the last import of a program. */
function listOf(folder: string, from: string): string {
  return join(folder, `.prism-import-${from}.json`);
}

/** Digests by name. */
export function earlierFiles(folder: string, from: string): ReadonlyMap<string, string> {
  const list = listOf(folder, from);
  if (!isFile(list)) return new Map();
  try {
    const { files } = JSON.parse(readFileSync(list, "utf8")) as { readonly files?: unknown };
    const isName = (name: string) => /^[A-Za-z0-9%_][A-Za-z0-9%._-]*$/.test(name);
    return new Map(Object.entries(Object(files) as object).filter(([name]) => isName(name)));
  } catch {
    return new Map();
  }
}

/** Replaces the list. @param texts by name @param kept files of earlier imports that stay */
export function listWritten(
  folder: string,
  from: string,
  texts: ReadonlyMap<string, string>,
  kept: ReadonlyMap<string, string> = new Map(),
): void {
  // Others may read the list: it has nothing of secrets, which are not compared.
  const written = [...texts].map(([name, text]) => [name, name === SECRETS_FILE ? "" : sha256Hex(text)] as const);
  const files = Object.fromEntries([...new Map([...kept, ...written])].sort(([a], [b]) => (a < b ? -1 : 1)));
  write(listOf(folder, from), `${JSON.stringify({ files })}\n`, false);
}

/** @throws CommandError 7 for files that the import did not write, and for those that someone changed since */
export function requireOwn(folder: string, from: string, names: readonly string[]): void {
  const earlier = earlierFiles(folder, from);
  const there = names.filter((name) => lstatSync(join(folder, name), { throwIfNoEntry: false }));
  const foreign = there.filter((name) => !earlier.has(name) || !isWritten(join(folder, name), from));
  if (foreign.length > 0) refuse(folder, foreign, `not written by prism import ${from}`);
  const changed = there.filter(
    (name) => name !== SECRETS_FILE && earlier.get(name) !== sha256Hex(readFileSync(join(folder, name), "utf8")),
  );
  if (changed.length > 0)
    refuse(folder, changed, `changed since prism import ${from} wrote ${one(changed, "it", "them")}`);
}

function refuse(folder: string, names: readonly string[], why: string): never {
  const files = names.map((name) => join(folder, name)).join(", ");
  throw new CommandError(
    EXIT.conflict,
    printable(`${files} ${one(names, "was", "were")} ${why}; --force replaces ${one(names, "it", "them")}`),
  );
}

function one(names: readonly string[], singular: string, plural: string): string {
  return names.length === 1 ? singular : plural;
}

function isFile(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Makes a file anew; until that is done, such as on a full disk, the old one stays. @param isPrivate only its owner may read it */
export function write(file: string, text: string, isPrivate: boolean): void {
  const next = `${file}.new`;
  // A file that exists keeps its mode, and a link would be written through.
  rmSync(next, { force: true });
  try {
    writeFileSync(next, text, { mode: isPrivate ? 0o600 : 0o644, flag: "wx" });
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

/** Whether it is a file that begins as an import writes it; tables of accounts and tokens begin with a row. */
export function isWritten(file: string, from: string): boolean {
  if (!isFile(file)) return false;
  const text = readFileSync(file, "utf8");
  const marks = [markOf(from), `# Import from ${from}\n`, `{\n  "importReport": 1,\n  "from": ${JSON.stringify(from)}`];
  return file.endsWith(".ndjson") ? text.startsWith("{") : marks.some((mark) => text.startsWith(mark));
}

/** The first line of files. */
export function markOf(from: string): string {
  return `# Written by prism import ${from}.\n`;
}
