import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { secretsFileText } from "../../config/files/secrets-file.ts";
import { yamlText } from "../../config/files/yaml-text.ts";
import { CommandError, EXIT } from "../../core/command-error.ts";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { cleanText, printable } from "../../core/text/clean-text.ts";
import { freeVariable } from "../../features/records/configuration/secrets.ts";
import { earlierFiles, isWritten, listWritten, markOf, requireOwn, SECRETS_FILE, write } from "./earlier-files.ts";
import { type MoveReport, type ReportRow, reportText, type ScheduleProof } from "./report.ts";

/* What an import of another program writes: configuration files, secrets beside them, and a report. */

/** Rows for `prism user import`, which come before the files. */
export const USERS_FILE = "users.ndjson";
/** Rows for `prism import tokens`, which come after them. */
export const TOKENS_FILE = "tokens.ndjson";
const REPORT_FILE = "report.json";

/** A reference in place of a secret. */
export interface EnvReference {
  readonly env: string;
}

/** Which policy an alert leads to, and whom it pages when. */
interface RouteTest {
  readonly name: string;
  readonly project: string;
  /** Default: now. */
  readonly at?: string;
  readonly alert: Readonly<Record<string, string>>;
  readonly expect: { readonly policy: string; readonly pages?: readonly object[] };
}

/** The files of one import, in memory. The same source gives the same bytes. */
export class ImportedFiles {
  readonly from: string;
  readonly rows: ReportRow[] = [];
  readonly proofs: ScheduleProof[] = [];
  /** Counts of what was taken, such as `people`. */
  readonly counts: Record<string, number> = {};
  readonly #documents = new Map<string, { document: object; comments: string[] }>();
  readonly #tests: object[] = [];
  readonly #tables = new Map<string, readonly object[]>();
  readonly #secrets = new Map<string, string>();
  readonly #toFill = new Map<string, string>();
  readonly #variables = new Set<string>();
  readonly #comments = new Map<string, readonly string[]>();
  /** Names that other commands know are for their kind alone. */
  readonly #files = new Set<string>(["people", "runtime", "tests"]);

  constructor(from: string) {
    this.from = from;
  }

  /** A reference; the value goes into the file of secrets. @param words name the variable, such as project, object, field */
  secret(value: string, ...words: readonly string[]): EnvReference {
    const name = freeVariable(this.#variables, ...words);
    this.#secrets.set(name, value);
    return { env: name };
  }

  /** A reference to a secret that the old system does not show. @param text where to find it */
  toFill(text: string, ...words: readonly string[]): EnvReference {
    const name = freeVariable(this.#variables, ...words);
    this.#toFill.set(name, text);
    return { env: name };
  }

  /** Values that someone wrote into the file of secrets, of variables whose value the old system does not show. */
  keepFilled(text: string): void {
    const values = parseEnv(text);
    for (const name of this.#toFill.keys()) {
      const value = values[name];
      if (value) this.#secrets.set(name, value);
    }
  }

  note(kind: string, name: string, outcome: ReportRow["outcome"], text: string): void {
    this.rows.push({ kind, name, outcome, text });
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  /** A file name of `[a-z0-9-]` that no other file has, without its ending. */
  fileFor(name: string): string {
    return free(slugOf(name), this.#files);
  }

  /**
   * A configuration file.
   * @param name without its ending: of `fileFor`, or `people`, `runtime`, `tests`
   * @param comments lines below the document
   */
  add(name: string, document: object, comments: readonly string[] = []): void {
    this.#files.add(name);
    this.#documents.set(`${name}.yaml`, {
      document: { version: 1, source: this.from, ...document },
      comments: [...comments],
    });
  }

  /** A test of `tests.yaml`: what the old system did with an alert. */
  test(test: RouteTest): void {
    this.#tests.push(test);
  }

  /** An element of a list of a document, which is written as these lines of comment. */
  comment(lines: readonly string[]): object {
    // No name of a stranger is equal to it.
    const id = randomUUID();
    this.#comments.set(id, lines);
    return { comment: id };
  }

  /** Rows of a file for another command, such as `users.ndjson`, which only its owner may read. */
  table(name: string, rows: readonly object[]): void {
    if (rows.length > 0) this.#tables.set(name, rows);
  }

  get variables(): readonly string[] {
    return [...new Set([...this.#secrets.keys(), ...this.#toFill.keys()])];
  }

  /** Whether the old system has something that the files do not, or a schedule differs. */
  get isIncomplete(): boolean {
    return (
      this.rows.some(({ outcome }) => outcome === "not taken") ||
      this.proofs.some(({ differences }) => differences.length > 0)
    );
  }

  report(files: readonly string[]): MoveReport {
    const { from, counts, proofs, rows } = this;
    return { importReport: 1, from, counts, files, proofs, rows };
  }

  #commented(yaml: string): string {
    return yaml.replace(/^( *)- comment: ([0-9a-f-]{36})$/gm, (line, indent: string, id: string) => {
      const lines = this.#comments.get(id)?.map((each) => `${indent}# ${printable(each)}`.trimEnd());
      return lines?.join("\n") ?? line;
    });
  }

  /** Texts by file name, and whether only the owner may read each. */
  texts(): ReadonlyMap<string, { readonly text: string; readonly isPrivate: boolean }> {
    const mark = markOf(this.from).trimEnd();
    const texts = new Map<string, { text: string; isPrivate: boolean }>();
    if (this.#tests.length > 0) this.add("tests", { tests: this.#tests });
    for (const [name, { document, comments }] of this.#documents) {
      const lines = comments.map((line) => `# ${printable(line)}`.trimEnd());
      // Lists that several objects share would be aliases.
      const yaml = this.#commented(yamlText(JSON.parse(JSON.stringify(document))));
      texts.set(name, { text: [mark, yaml.trimEnd(), ...lines, ""].join("\n"), isPrivate: false });
    }
    for (const [name, rows] of this.#tables)
      texts.set(name, { text: rows.map((row) => `${JSON.stringify(row)}\n`).join(""), isPrivate: true });
    if (this.#secrets.size + this.#toFill.size > 0) {
      const toFill = [...this.#toFill].filter(([name]) => !this.#secrets.has(name));
      const missing = toFill.map(([name, text]) => `# ${printable(text)}\n# ${name}=\n`).join("");
      texts.set(SECRETS_FILE, { text: `${mark}\n${secretsFileText(this.#secrets)}${missing}`, isPrivate: true });
    }
    const report = this.report([...texts.keys()].sort());
    texts.set(REPORT_FILE, { text: `${JSON.stringify(report, null, 2)}\n`, isPrivate: false });
    texts.set("report.md", { text: reportText(report), isPrivate: false });
    return texts;
  }
}

/** A name of another system in one line, without control characters. */
export function plainName(name: string): string {
  return cleanText(name).replace(/\s+/g, " ").trim();
}

/** The letters and digits of a name. */
export function slugOf(name: string): string {
  const plain = name.normalize("NFKD").toLowerCase();
  const slug = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  // A name in another script has none.
  return slug.slice(0, 40).replace(/-+$/, "") || `x-${sha256Hex(name).slice(0, 8)}`;
}

/** `duty`, or `duty-2` where another has it. */
export function free(name: string, taken: Set<string>): string {
  let found = name;
  for (let n = 2; taken.has(found); n++) found = `${name}-${n}`;
  taken.add(found);
  return found;
}

/**
 * Writes the files into a folder, and removes those of an earlier import of the same program that are no longer
 * written. Secrets that someone has filled in stay.
 * @throws CommandError 1 if they cannot be written, 7 for files that it did not write, or that someone changed since
 */
export function writeImported(folder: string, files: ImportedFiles, { force = false } = {}): readonly string[] {
  return writing(folder, () => writeAll(folder, files, force));
}

/** @throws CommandError 1 for a file or folder that cannot be written */
export function writing<T>(folder: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw new CommandError(EXIT.failure, printable(`${folder} cannot be written: ${error.message}`), { cause: error });
  }
}

/** Node's own way to make parents, too, never ends in folders such as `/proc`, where nothing can be made. */
export function makeFolder(folder: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing) mkdirSync(each, { mode });
}

function writeAll(folder: string, files: ImportedFiles, force: boolean): readonly string[] {
  const { from } = files;
  makeFolder(folder);
  const earlier = earlierFiles(folder, from);
  const isOwn = (name: string) => earlier.has(name) && isWritten(join(folder, name), from);
  if (isOwn(SECRETS_FILE)) files.keepFilled(readFileSync(join(folder, SECRETS_FILE), "utf8"));
  const texts = files.texts();
  const dropped = [...earlier.keys()].filter((name) => !texts.has(name) && isOwn(name));
  if (!force) requireOwn(folder, from, [...texts.keys(), ...dropped]);
  for (const name of dropped) rmSync(join(folder, name));
  for (const [name, { text, isPrivate }] of texts) write(join(folder, name), text, isPrivate);
  listWritten(folder, from, new Map([...texts].map(([name, { text }]) => [name, text])));
  return [...texts.keys()].sort();
}
