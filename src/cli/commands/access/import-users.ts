import { extname } from "node:path";
import { Option } from "commander";
import type { ErrorDetail } from "../../../core/errors.ts";
import type { AccountFormat, AccountsImported, FiledAccount } from "../../../features/access/users/import-accounts.ts";
import { readFileOrStdin } from "../../files.ts";
import { CommandError, EXIT, importRefusal } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { callOf, type Values, type Verb } from "../../resource.ts";

const FORMAT_OF_ENDING: Readonly<Record<string, AccountFormat>> = {
  ".csv": "csv",
  ".json": "json",
  ".ndjson": "ndjson",
  ".jsonl": "ndjson",
};

/** `prism user import`. */
export const IMPORT_USERS: Verb = {
  text: "import accounts of another program, all or none",
  about: `Members: id, externalId, email, username, phone, name, passwordHash (bcrypt), roles, status, timezone, locale.
In CSV the first line names them, and several roles are separated by semicolons.`,
  examples: ["users.csv --dry-run", "$ prism export users --format ndjson | prism user import - --existing update"],
  anywhere: true,
  args: { file: ["<file>", "CSV, one JSON object per line, or a JSON list; - for stdin"] },
  flags: {
    format: new Option("--format <format>", "format of the file, if its name and text do not show it").choices([
      ...["csv", "ndjson", "json"],
    ]),
    existing: new Option("--existing <what>", "what to do with an existing account that differs")
      .choices(["refuse", "skip", "update"])
      .default("refuse"),
    dryRun: ["--dry-run", "check everything, report what would be done, and change nothing"],
  },
  check: async ({ file, format }) => ({ filed: await filedIn(String(file), format as AccountFormat | undefined) }),
  get: ({ server, given }) => {
    const users = filedOf(given).map(({ value }) => value);
    const { existing, dryRun = false } = given;
    return callOf(server, "importUsers", { existing, dryRun, users }).catch((error: unknown) => {
      throw importRefusal(error, "users", (problem) => [`  ${problemLine(problem, filedOf(given))}`]);
    });
  },
  lines: ({ users }: AccountsImported, { given }) =>
    table(
      ["ID", given["dryRun"] ? "WOULD BE" : "OUTCOME", "ACCOUNT"],
      users.map(({ id, outcome }, at) => [id ?? "-", outcome, labelOf(filedOf(given)[at])]),
    ),
  after({ created, updated, unchanged, skipped }: AccountsImported, { out, given }) {
    const counts = `${created} created, ${updated} updated, ${unchanged} unchanged, ${skipped} skipped`;
    out.note(`${given["dryRun"] ? "Would be: " : ""}${counts}`);
  },
};

/** @throws CommandError 2, 7 */
async function filedIn(file: string, format: AccountFormat | undefined): Promise<readonly FiledAccount[]> {
  const { formatOfText, readAccounts } = await import("../../../features/access/users/import-accounts.ts");
  const text = await readFileOrStdin(file, "<file>");
  // Decoded with replacement characters: names would be damaged.
  if (text.includes("\ufffd")) throw new CommandError(EXIT.conflict, "the file is not UTF-8; save it as UTF-8");
  return readAccounts(text, format ?? FORMAT_OF_ENDING[extname(file).toLowerCase()] ?? formatOfText(text));
}

function filedOf({ filed }: Values): readonly FiledAccount[] {
  return filed as readonly FiledAccount[];
}

function problemLine({ path = "", message }: ErrorDetail, filed: readonly FiledAccount[]): string {
  const [, at = "", member] = /^users\.(\d+)(?:\.(.*))?$/.exec(path) ?? [];
  const account = filed[Number(at)];
  const line = account?.line ?? null;
  const location = line === null ? `account ${Number(at) + 1}` : `line ${line}`;
  const field = member === undefined ? "" : `${printable(member)}: `;
  return `${location} (${labelOf(account)}): ${field}${withLines(message, filed)}`;
}

/** The server names accounts by their position in the request; messages name the file's line. */
function withLines(message: string, filed: readonly FiledAccount[]): string {
  return message.replace(/\busers\.(\d+)/g, (location, at: string) => {
    const line = filed[Number(at)]?.line ?? null;
    return line === null ? location : `line ${line}`;
  });
}

function labelOf(account: FiledAccount | undefined): string {
  const { username, email, externalId, id } = { ...(account?.value as Readonly<Record<string, unknown>> | undefined) };
  const label = [username, email, externalId, id].find((name) => typeof name === "string");
  return typeof label === "string" ? printable(label) : "-";
}
