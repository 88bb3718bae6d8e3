import { join } from "node:path";
import { Option } from "commander";
import { countText, printable } from "../../../core/text/clean-text.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import type { ImportedFiles } from "../../../remote/import/files.ts";
import type { ApiImportOptions, HttpSource, HttpSourceOptions } from "../../../remote/import/http-source.ts";
import type { CommandContext } from "../../context.ts";
import { readInput } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag, durationFlag } from "../../output/flag-values.ts";
import type { Values } from "../../resource.ts";

/* Flags and results that the imports of other programs share. */

/** Flags of each import. */
export const FILE_FLAGS = {
  out: new Option(
    "--out <dir>",
    "write configuration files, secrets and a report into this directory",
  ).makeOptionMandatory(),
  project: ["--project <slug>", "project of what belongs to no team"],
  force: ["--force", "replace files that an import did not write, or that were changed since"],
} as const;

/** Flags of imports that read the API of the old system. */
export const API_FLAGS = {
  ...FILE_FLAGS,
  fromUrl: ["--from-url <url>", "where the old system is"],
  fromToken: ["--from-token <token>", "its token: @FILE, or - for stdin; default: PRISM_IMPORT_TOKEN"],
  teams: ["--teams <names>", "only these teams, separated by commas"],
  until: new Option("--until <span>", "compare schedules so far ahead")
    .argParser(durationFlag)
    .default(90 * DAY_MS, "90d"),
  accept: ["--accept <schedule>", "write this schedule though it differs; repeatable", collectFlag],
  record: ["--record <dir>", "also write the answers of the old system into this directory, without tokens"],
  fromRecording: ["--from-recording <dir>", "read the answers from this directory"],
} as const;

/** Of services with a second place in Europe. */
export const REGION = new Option("--region <region>", "where the account is").choices(["us", "eu"]).default("us");

/** What the flags of {@link API_FLAGS} say. */
export function apiImportOptions(given: Values, project: string): ApiImportOptions {
  const { teams, until: untilMs, accept = [] } = given as { teams?: string; until: number; accept?: readonly string[] };
  const names = teams?.split(",").map((name) => name.trim());
  return { project: String(given["project"] ?? project), teams: names?.filter(Boolean) ?? null, untilMs, accept };
}

/** @param authorise the header that carries the token @throws CommandError 2 */
export async function openSource(
  given: Values,
  {
    base,
    authorise,
    secretMembers,
  }: {
    /** Undefined: `--from-url` is required. */
    readonly base?: string | undefined;
    readonly authorise: (token: string) => HttpSourceOptions["headers"];
    readonly secretMembers: RegExp;
  },
): Promise<HttpSource> {
  const { HttpSource: Source } = await import("../../../remote/import/http-source.ts");
  const { fromUrl = base, record, fromRecording: recording } = given as Partial<Record<string, string>>;
  if (fromUrl === undefined && recording === undefined)
    throw new CommandError(EXIT.usage, "--from-url <url> is required: where the old system is");
  const token = recording === undefined ? await tokenOf(given) : "";
  const headers = recording === undefined ? authorise(token) : {};
  return new Source({ base: fromUrl ?? "https://recording.invalid", headers, record, recording, secretMembers });
}

/** `--from-token`, `PRISM_IMPORT_TOKEN` or the file of `PRISM_IMPORT_TOKEN_FILE`. @throws CommandError 2 */
async function tokenOf({ fromToken }: Values): Promise<string> {
  const { PRISM_IMPORT_TOKEN: token, PRISM_IMPORT_TOKEN_FILE: file } = process.env;
  if (typeof fromToken === "string" && fromToken !== "-" && !fromToken.startsWith("@"))
    throw new CommandError(EXIT.usage, "--from-token: give @FILE or -, as others can read the arguments of commands");
  const text =
    typeof fromToken === "string"
      ? await readInput(fromToken, "--from-token")
      : (token ?? (file === undefined ? "" : await readInput(`@${file}`, "PRISM_IMPORT_TOKEN_FILE")));
  const found = text.trim();
  if (found === "")
    throw new CommandError(EXIT.usage, "the old system needs a token: PRISM_IMPORT_TOKEN or --from-token");
  if (/[^\x21-\x7e]/.test(found))
    throw new CommandError(
      EXIT.usage,
      "the token of the old system has other characters than letters, digits and signs",
    );
  return found;
}

/** Lines on stderr; the report has all of them. */
const MAX_NOTES = 20;
const MAX_NAMES = 5;

/** Writes the files and says what to do with them. Exit 8: something was not taken, or a schedule differs. */
export async function finishImport({ out }: CommandContext, files: ImportedFiles, given: Values): Promise<void> {
  const { SECRETS_FILE } = await import("../../../remote/import/earlier-files.ts");
  const { groupsOf, groupText } = await import("../../../remote/import/report.ts");
  const { TOKENS_FILE, USERS_FILE, writeImported } = await import("../../../remote/import/files.ts");
  const { out: folder, force = false } = given as { out: string; force?: boolean };
  const names = writeImported(folder, files, { force });
  const report = files.report(names);
  const secrets = names.includes(SECRETS_FILE) ? ` --secrets-file ${printable(join(folder, SECRETS_FILE))}` : "";
  const runtime = names.includes("runtime.yaml") ? " --runtime" : "";
  // What files name exists before they are applied.
  const tables = (name: string, command: string) =>
    names.includes(name) ? [printable(`  ${command} ${join(folder, name)}`)] : [];
  const hasFiles = names.some((name) => name.endsWith(".yaml"));
  out.result({ out: folder, ...report, variables: files.variables }, () => [
    ...Object.entries(files.counts).map(([what, count]) => `${what}: ${count}`),
    printable(`Read ${join(folder, "report.md")}, then:`),
    ...(hasFiles ? [printable(`  prism check -f ${folder}`)] : []),
    ...tables(USERS_FILE, "prism user import"),
    ...(hasFiles
      ? ["plan", "apply"].map(
          (word) => `  prism ${word} -f ${printable(folder)}${secrets}${word === "apply" ? runtime : ""}`,
        )
      : []),
    ...tables(TOKENS_FILE, "prism import tokens"),
  ]);
  const notes = [
    ...files.proofs.flatMap(({ name, differences: { length } }) =>
      length > 0 ? [`differs: schedule ${name} in ${countText(length, "span")} of time`] : [],
    ),
    ...groupsOf(files.rows).flatMap((group) =>
      group.outcome === "changed" ? [] : [`${group.outcome}: ${groupText(group, (text) => text, MAX_NAMES)}`],
    ),
  ];
  const shown = notes.length > MAX_NOTES ? notes.slice(0, MAX_NOTES - 1) : notes;
  for (const note of shown) out.note(printable(note));
  if (shown.length < notes.length)
    out.note(printable(`${notes.length - shown.length} more: the rest is in ${join(folder, "report.md")}`));
  if (files.isIncomplete) process.exitCode = EXIT.checkFailed;
}
