import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseFile, SourceRow } from "./database-file.ts";
import { unreadable } from "./http-source.ts";

/* Tables of MariaDB, MySQL and PostgreSQL as their own commands print them: a file with a line of names for each. */

const MAX_BYTES = 256 * 2 ** 20;

/** A folder with `<table>.tsv`; all values are texts. */
export function tsvFolder(folder: string): DatabaseFile {
  const fileOf = (table: string) => join(folder, `${table}.tsv`);
  const rowsOf = (table: string): SourceRow[] => {
    if (!existsSync(fileOf(table))) return [];
    if (statSync(fileOf(table)).size > MAX_BYTES) throw unreadable(`${fileOf(table)} is larger than 256 MiB`);
    const [head = "", ...lines] = readFileSync(fileOf(table), "utf8").split("\n").filter(Boolean);
    const names = head.split("\t");
    return lines.map((line) => {
      const cells = line.split("\t");
      return Object.fromEntries(names.map((name, at): [string, SourceRow[string]] => [name, cellOf(cells[at])]));
    });
  };
  return {
    has: (table) => existsSync(fileOf(table)),
    rows: async (table) => rowsOf(table),
    values: async (table, column) => [...new Set(rowsOf(table).flatMap((row) => row[column] ?? []))].sort(),
  };
}

/** Whether tables are read from a folder. */
export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "0": "\0", "\\": "\\" };

/** Nothing is `NULL`, or of PostgreSQL `\N`. */
function cellOf(cell: string | undefined): string | null {
  if (cell === undefined || cell === "NULL" || cell === "\\N") return null;
  return cell.replace(/\\([ntr0\\])/g, (_, letter: string) => ESCAPES[letter] ?? letter);
}
