import { type FileConfiguration, placeText, readConfigurationFiles } from "../../../../config/files/file-objects.ts";
import { digestOfFiles, type FileProblem } from "../../../../config/files/read-files.ts";
import { secretOf, secretReferences, secretsOf } from "../../../../config/files/secret-references.ts";
import { sha256Hex } from "../../../../core/crypto/tokens.ts";
import { countText, oneLine } from "../../../../core/text/clean-text.ts";
import type { Problem } from "../schema.ts";

interface Directory {
  readonly path: string;
  /** Directories that may have files of secrets, the directory itself among them. */
  readonly folders: readonly string[];
}

/** The objects of a directory, with the values of their secrets. */
export interface ReadFiles extends FileConfiguration {
  /** Of the files. */
  readonly digest: string;
  /** Of the files and of the secrets that they name. */
  readonly fingerprint: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly references: readonly string[];
}

/** Why nothing of a directory is applied. */
export class FilesRefused extends Error {
  override readonly name = "FilesRefused";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Files may be replaced while they are read; Kubernetes replaces all at once. */
const TRIES = 3;

/** @throws FilesRefused with the place of what is wrong */
export function readDirectory(directory: Directory): ReadFiles {
  for (let tries = 1; ; tries++) {
    const digest = reading(directory, () => digestOfFiles(directory.path));
    const files = reading(directory, () => readConfigurationFiles([directory.path]));
    const isWhole = reading(directory, () => digestOfFiles(directory.path)) === digest;
    if (isWhole) return withSecrets(files, digest, directory);
    if (tries === TRIES)
      throw new FilesRefused("CHANGING", `the files of ${directory.path} change while they are read`);
  }
}

function reading<T>({ path }: Directory, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    throw new FilesRefused("UNREADABLE", `${path} cannot be read (${String(error.code)})`);
  }
}

function withSecrets(files: FileConfiguration, digest: string, { path, folders }: Directory): ReadFiles {
  const problems: FileProblem[] = [...files.problems];
  const found = secretReferences(files.objects);
  const { secrets, unread } = secretsOf(found, { environment: process.env, folders });
  for (const { object, path: member, refusal } of unread)
    if (refusal !== undefined)
      problems.push({ ...files.positionOf(object, member), code: "SECRET_REFUSED", message: refusal });
  const [first] = problems;
  if (first) throw new FilesRefused(first.code, textOf(problems.map(fileText)));
  // Files without objects are a mistake of whoever wrote them, as an empty directory is.
  if (files.objects.length === 0) throw new FilesRefused("NO_OBJECTS", `the files of ${path} name no objects`);
  const references = [...new Set(found.map(({ key }) => key))];
  return { ...files, digest, fingerprint: fingerprintOf(digest, secrets), secrets, references };
}

/** Of the files, and of the secrets with these references. @throws errors of the system */
export function digestOfDirectory({ path, folders }: Directory, references: readonly string[]): string {
  const values = references.map((key) => [key, secretOf(key, { environment: process.env, folders })] as const);
  const given = values.filter(([, value]) => value !== undefined);
  return fingerprintOf(digestOfFiles(path), Object.fromEntries(given) as Record<string, string>);
}

function fingerprintOf(digest: string, secrets: Readonly<Record<string, string>>): string {
  return sha256Hex(JSON.stringify([digest, Object.entries(secrets).sort()]));
}

/** The problems of an apply, at their places in the files. */
export function problemsIn(files: ReadFiles, problems: readonly Partial<Problem>[]) {
  const texts = problems.map(({ kind = "", name = "", at = null, path = "", message = "" }) => {
    const object = files.objects.findIndex((each) => each.at === at);
    const place = object < 0 ? at : placeText(files.positionOf(object, path));
    const what = [name === "" ? kind : `${kind} ${JSON.stringify(name)}`, path]
      .filter((each) => each !== "")
      .join(", ");
    return [place, what, message].filter((each) => each !== null && each !== "").join(": ");
  });
  return { code: problems[0]?.code ?? "CONFIGURATION_REFUSED", message: textOf(texts) };
}

function fileText({ message, fix, ...place }: FileProblem): string {
  return `${placeText(place)}: ${message}${fix === undefined ? "" : `; ${fix}`}`;
}

/** The first one, in one line: files may have any text. */
function textOf([first = "", ...others]: readonly string[]): string {
  const more = others.length === 0 ? "" : ` (and ${countText(others.length, "more problem")})`;
  return `${oneLine(first)}${more}`;
}
