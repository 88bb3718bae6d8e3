import { statSync } from "node:fs";
import { parseEnv } from "node:util";
import type { FileConfiguration } from "../../../config/files/file-objects.ts";
import type { FileProblem } from "../../../config/files/read-files.ts";
import { PrismError } from "../../../core/errors.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { readTextFile } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import type { PlanProblem } from "./plan-text.ts";

export interface FileFlags {
  readonly file: readonly string[];
  readonly project?: string;
  readonly secretsFile?: string;
  readonly secretsDir?: string;
}

/** Configuration files, with the secrets that they name. */
export interface GivenFiles extends FileConfiguration {
  readonly secrets: Readonly<Record<string, string>>;
  /** References without a value, such as `duty.yaml:3:9: env:PRISM_SECRET_ROOM`. */
  readonly missing: readonly string[];
  /** Variables of `--secrets-file` that nothing names. */
  readonly unused: readonly string[];
}

/** @throws CommandError 2 for a path that cannot be read, 7 with all problems of the files */
export async function givenFiles(flags: FileFlags): Promise<GivenFiles> {
  const { placeText } = await import("../../../config/files/file-objects.ts");
  const { secretReferences, secretsOf } = await import("../../../config/files/secret-references.ts");
  const found = await readFiles(flags.file);
  const problems = [...found.problems];
  const folders = [...flags.file.filter((path) => statSync(path).isDirectory()), flags.secretsDir ?? []].flat();
  const variables = variablesOf(flags.secretsFile);
  const environment = { ...process.env, ...variables };
  const references = secretReferences(found.objects);
  const { secrets, unread } = secretsOf(references, { environment, folders });
  const missing: string[] = [];
  for (const { object, path, key, refusal } of unread) {
    const place = found.positionOf(object, path);
    if (refusal === undefined) missing.push(`${placeText(place)}: ${key}`);
    else problems.push({ ...place, code: "SECRET_REFUSED", message: refusal, fix: "see --secrets-dir" });
  }
  if (problems.length > 0) throw refusalOf(problems);
  const unused = Object.keys(variables).filter((name) => !references.some(({ key }) => key === `env:${name}`));
  return { ...found, secrets, missing, unused };
}

/** Files with their problems, without secrets. @throws CommandError 2 for a path that cannot be read */
export async function readFiles(files: readonly string[]): Promise<FileConfiguration> {
  const { readConfigurationFiles } = await import("../../../config/files/file-objects.ts");
  return reading(files, () => readConfigurationFiles(files));
}

function variablesOf(file: string | undefined): NodeJS.Dict<string> {
  return file === undefined ? {} : parseEnv(readTextFile(file, "--secrets-file"));
}

function reading<T>(files: readonly string[], read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    throw new CommandError(EXIT.usage, `--file: ${files.join(", ")} cannot be read (${String(error.code)})`);
  }
}

/** What the files have of one project; without a slug of all. */
export function objectsOf({ objects, runtime }: FileConfiguration, slug: string | undefined) {
  if (slug === undefined) return { objects, runtime };
  const ofProject = (some: FileConfiguration["objects"]) =>
    some.filter(({ kind, project, spec }) => (kind === "projects" ? spec["slug"] : project) === slug);
  const [found, entries] = [ofProject(objects), ofProject(runtime)];
  if (found.length + entries.length === 0)
    throw new CommandError(EXIT.notFound, `the files have no project ${printable(slug)}`);
  return { objects: found, runtime: entries };
}

/** Problems of a plan at their places in the files. */
export function placed(files: FileConfiguration, problems: readonly PlanProblem[]): readonly FileProblem[] {
  return problems.map(({ kind, name, at, path, code, message, fix }) => {
    const object = [...files.objects, ...files.runtime].findIndex((each) => each.at === at && each.kind === kind);
    const [, file = "", line = 1, column = 1] = /^(.*):(\d+):(\d+)$/.exec(at ?? "") ?? [];
    const place = object < 0 ? { file, line: Number(line), column: Number(column) } : files.positionOf(object, path);
    const what = `${kind}${!name || name === kind ? "" : ` "${name}"`}${path === "" ? "" : `, ${path}`}: ${message}`;
    return { ...place, code, message: what, ...(fix !== undefined && { fix }) };
  });
}

export function problemLine({ file, line, column, message, fix }: FileProblem): string {
  const place = file === "" ? "" : `${file}:${line}:${column}: `;
  return printable(`${place}${message}${fix === undefined ? "" : `; ${fix}`}`);
}

/** All problems, with exit 7. */
export function refusalOf(problems: readonly FileProblem[]): CommandError {
  const summary = `the files have ${countText(problems.length, "problem")}`;
  const details = problems.map(({ file, line, column, code, message, fix }) => ({
    ...{ path: `${file}:${line}:${column}`, code },
    message: `${message}${fix === undefined ? "" : `; ${fix}`}`,
  }));
  const cause = new PrismError("VALIDATION_FAILED", summary, { details });
  const lines = [`${summary}; nothing is stored:`, ...problems.map((each) => `  ${problemLine(each)}`)];
  return new CommandError(EXIT.conflict, lines.join("\n"), { cause, code: "CONFIGURATION_REFUSED" });
}
