import { extname } from "node:path";
import { type Command, Option } from "commander";
import type { ErrorDetail } from "../../../core/errors.ts";
import type {
  AccountFormat,
  AccountsImported,
  FiledAccount,
  ImportOptions,
} from "../../../features/access/users/import-accounts.ts";
import { type Context, contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { CommandError, EXIT, importRefusal } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { withServer } from "../../with-server.ts";

interface Flags {
  readonly format?: AccountFormat;
  readonly existing: ImportOptions["existing"];
  readonly dryRun?: boolean;
}

const FORMAT_OF_ENDING: Readonly<Record<string, AccountFormat>> = {
  ".csv": "csv",
  ".json": "json",
  ".ndjson": "ndjson",
  ".jsonl": "ndjson",
};

export function addImportUsers(user: Command): void {
  user
    .command("import")
    .description("import accounts of another program, all or none")
    .argument("<file>", "CSV, one JSON object per line, or a JSON list; - for stdin")
    .addOption(
      new Option("--format <format>", "format of the file, if its name and text do not show it").choices([
        "csv",
        "ndjson",
        "json",
      ]),
    )
    .addOption(
      new Option("--existing <what>", "what to do with an existing account that differs")
        .choices(["refuse", "skip", "update"])
        .default("refuse"),
    )
    .option("--dry-run", "check everything, report what would be done, and change nothing")
    .addHelpText(
      "after",
      `
Members: id, externalId, email, username, phone, name, passwordHash (bcrypt), roles, status, timezone, locale.
In CSV the first line names them, and several roles are separated by semicolons.

Examples:
  $ prism user import users.csv --dry-run
  $ prism export users --format ndjson | prism user import - --existing update`,
    )
    .action(async (file: string, flags: Flags, command: Command) => run(contextOf(command), file, flags));
}

async function run(context: Context, file: string, { format, existing, dryRun = false }: Flags): Promise<void> {
  const { formatOfText, readAccounts } = await import("../../../features/access/users/import-accounts.ts");
  const text = file === "-" ? await readStdin() : readTextFile(file, "<file>");
  // Decoded with replacement characters: names would be damaged.
  if (text.includes("\ufffd")) throw new CommandError(EXIT.conflict, "the file is not UTF-8; save it as UTF-8");
  const filed = await readAccounts(text, format ?? FORMAT_OF_ENDING[extname(file).toLowerCase()] ?? formatOfText(text));
  const users = filed.map(({ value }) => value);
  const path = `/api/v1/users/import?existing=${existing}&dryRun=${dryRun}`;
  const work = withServer(context, (api) => api.post<AccountsImported>(path, { users }));
  const reply = await work.catch((error: unknown) => {
    throw importRefusal(error, "users", (problem) => [`  ${problemLine(problem, filed)}`]);
  });
  context.out.result(reply, () =>
    table(
      ["ID", dryRun ? "WOULD BE" : "OUTCOME", "ACCOUNT"],
      reply.users.map(({ id, outcome }, at) => [id ?? "-", outcome, labelOf(filed[at])]),
    ),
  );
  const { created, updated, unchanged, skipped } = reply;
  const counts = `${created} created, ${updated} updated, ${unchanged} unchanged, ${skipped} skipped`;
  context.out.note(`${dryRun ? "Would be: " : ""}${counts}`);
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
