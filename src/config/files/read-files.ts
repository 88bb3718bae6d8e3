import { createHash } from "node:crypto";
import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from "yaml";

/* Reads configuration files as YAML 1.2 (core schema), of which JSON is a part. Writes and prints nothing. */

const MAX_FILES = 500;
const MAX_FILE_BYTES = 1_048_576;
const MAX_BYTES = 8 * MAX_FILE_BYTES;
const MAX_ALIASES = 100;
/** The report of an import (`remote/import/report.ts`) lies beside the files. */
const IMPORT_REPORT = '{\n  "importReport": 1,';
const IS_CONFIGURATION = /\.(yaml|yml|json)$/;

/** Where something is in a file; lines and columns begin at 1. */
export interface FilePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What is wrong in a file, and how it is mended. */
export interface FileProblem extends FilePosition {
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
}

/** A document of a file, with its value as JSON has it. */
export interface FileDocument {
  readonly value: unknown;
  /** The position of a member; of the nearest one above it where it is missing. */
  position(path: readonly (string | number)[]): FilePosition;
}

interface ReadDocuments {
  readonly documents: readonly FileDocument[];
  readonly problems: readonly FileProblem[];
}

interface FoundFile {
  readonly path: string;
  /** As messages name it: below the only directory, else as it was given. */
  readonly name: string;
}

/**
 * The documents of files, and of all files below directories, in the order of their paths.
 * @throws Error of the system for a path that cannot be read
 */
export function readDocuments(paths: readonly string[]): ReadDocuments {
  const problems: FileProblem[] = [];
  const files = paths.flatMap((path) => filesIn(path, paths.length === 1));
  const tooMany = files[MAX_FILES];
  if (tooMany) problems.push(ofFile(tooMany, "LIMIT", `is file ${MAX_FILES + 1}; ${MAX_FILES} are read at most`));
  if (files.length === 0)
    problems.push({
      ...{ file: paths.join(", "), line: 1, column: 1, code: "NO_FILES", message: "has no configuration file" },
      fix: "add a file that ends with .yaml, .yml or .json",
    });
  let bytes = 0;
  const documents = files.slice(0, MAX_FILES).flatMap((file) => {
    const { size } = statSync(file.path);
    bytes += size;
    const limit =
      size > MAX_FILE_BYTES ? "has more than 1 MiB" : bytes > MAX_BYTES ? "makes all files more than 8 MiB" : null;
    if (limit === null) return documentsOf(file, problems);
    problems.push(ofFile(file, "LIMIT", limit, "split it, or remove what is not configuration"));
    return [];
  });
  return { documents, problems };
}

/** A digest of the files that {@link readDocuments} reads below a directory. @throws Error of the system */
export function digestOfFiles(path: string): string {
  const hash = createHash("sha256");
  for (const file of filesIn(path, true).slice(0, MAX_FILES)) {
    const { size } = statSync(file.path);
    hash.update(JSON.stringify([file.name, size]));
    if (size <= MAX_FILE_BYTES) hash.update(readFileSync(file.path));
  }
  return hash.digest("hex").slice(0, 32);
}

function ofFile({ name }: FoundFile, code: string, message: string, fix?: string): FileProblem {
  return { file: name, line: 1, column: 1, code, message, ...(fix !== undefined && { fix }) };
}

function filesIn(path: string, isOnly: boolean): FoundFile[] {
  if (!statSync(path).isDirectory()) return [{ path, name: path }];
  const root = realpathSync(path);
  const nameOf = (file: string) => (isOnly ? relative(path, file) : file);
  return below(path, root)
    .map((file) => ({ path: file, name: nameOf(file).replaceAll(sep, "/") }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Without hidden names, links to directories, and links that lead out of `root`. */
function below(folder: string, root: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith("."))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return below(path, root);
      return IS_CONFIGURATION.test(entry.name) && isFileInside(path, entry, root) ? [path] : [];
    });
}

function isFileInside(path: string, entry: Dirent, root: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isFile();
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  return isFile && realpathSync(path).startsWith(join(root, sep));
}

function documentsOf(file: FoundFile, problems: FileProblem[]): FileDocument[] {
  const text = textOf(file, problems);
  if (text === null || text.startsWith(IMPORT_REPORT)) return [];
  const lines = new LineCounter();
  const at = (offset: number): FilePosition => {
    const { line, col } = lines.linePos(offset);
    return { file: file.name, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const parsed = parseAllDocuments(text, {
      ...{ version: "1.2", schema: "core", merge: false, uniqueKeys: true, resolveKnownTags: false },
      ...{ lineCounter: lines, prettyErrors: false },
    });
    return [parsed].flat().flatMap((document) => valuesOf(document as Document.Parsed, at, problems));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.push(ofFile(file, "SYNTAX", "is nested too deeply", "write it with fewer lists in lists"));
    return [];
  }
}

function textOf(file: FoundFile, problems: FileProblem[]): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file.path));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    problems.push(ofFile(file, "SYNTAX", "is not UTF-8", "save it as UTF-8"));
    return null;
  }
}

type At = (offset: number) => FilePosition;

function valuesOf(document: Document.Parsed, at: At, problems: FileProblem[]): FileDocument[] {
  const { length } = problems;
  for (const { pos, code, message } of document.errors) {
    const fix = FIXES[code];
    const text = code === "DUPLICATE_KEY" ? `the key ${keyAt(document, pos[0])} is there twice` : message;
    problems.push({ ...at(pos[0]), code: "SYNTAX", message: text, ...(fix !== undefined && { fix }) });
  }
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) && key.value === "<<" && key.range)
        problems.push({ ...at(key.range[0]), code: "SYNTAX", message: "merge keys are not read", fix: WRITE_OUT });
    },
    Node(_, node) {
      if (isAlias(node) || node.tag === undefined || !node.range) return;
      const message = `the tag ${node.tag.replace("tag:yaml.org,2002:", "!!")} is not read`;
      problems.push({ ...at(node.range[0]), code: "SYNTAX", message, fix: "write the value without a tag" });
    },
  });
  if (problems.length > length || document.contents === null) return [];
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return value === null ? [] : [{ value, position: (path) => positionIn(document, path, at) }];
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const isUnknown = error.message.startsWith("Unresolved alias");
    const message = isUnknown ? "an alias has no anchor" : `has more than ${MAX_ALIASES} aliases`;
    problems.push({ ...at(document.range[0]), code: "SYNTAX", message, fix: WRITE_OUT });
    return [];
  }
}

/** The key that begins at an offset. */
function keyAt(document: Document.Parsed, offset: number): string {
  let found = "";
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) && key.range?.[0] === offset) found = String(key.value);
    },
  });
  return found;
}

const WRITE_OUT = "write the members out";

const FIXES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "indent with spaces",
  DUPLICATE_KEY: "keep one of them",
  MULTILINE_IMPLICIT_KEY: "quote the text, or put it on one line",
  BLOCK_AS_IMPLICIT_KEY: "quote a value that has a colon and a space in it",
  BAD_INDENT: "indent members of one object by the same number of spaces, and close what was opened",
  MISSING_CHAR: "close what was opened",
  RESOURCE_EXHAUSTION: "write it with fewer lists in lists",
  UNEXPECTED_TOKEN: "quote the text, or remove the character",
};

function positionIn(document: Document.Parsed, path: readonly (string | number)[], at: At): FilePosition {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? 0;
  for (const step of path) {
    const inside = isAlias(node) ? node.resolve(document) : node;
    const pair = isMap(inside)
      ? inside.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step))
      : undefined;
    node = isSeq(inside) ? inside.items[Number(step)] : pair?.value;
    const place = pair ? pair.key : node;
    if (!isNode(place) || !place.range) break;
    offset = place.range[0];
  }
  return at(offset);
}
