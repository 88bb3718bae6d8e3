import { Argument, type Command, Option } from "commander";
import { type Context, contextOf } from "../../context.ts";
import { requireReplaceable, writeRows } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { pastFlag } from "../../output/flag-values.ts";
import { withServer } from "../../with-server.ts";
import {
  DEFAULT_FORMATS,
  EXPORT_FORMATS,
  EXPORT_KINDS,
  type ExportFormat,
  type ExportKind,
  type ExportSelection,
  formatRows,
} from "./export-kinds.ts";

interface Flags extends ExportSelection {
  readonly format?: ExportFormat;
  readonly force?: boolean;
  readonly out?: string;
  readonly gzip?: boolean;
}

export function addExport(program: Command): void {
  program
    .command("export")
    .description("write events, notifications, the audit trail, rules or users as rows")
    .addArgument(new Argument("<kind>", "what to export").choices(EXPORT_KINDS))
    .addOption(new Option("--format <format>", "form of the rows; csv for audit, else ndjson").choices(EXPORT_FORMATS))
    .option("--from <time>", "not before: a time, a day, or a duration before now such as 24h", pastFlag)
    .option("--to <time>", "before this time", pastFlag)
    .option("--project <project>", "id or slug: events, notifications or rules of one project")
    .option("--out <file>", "where to; without it, or with -, to stdout")
    .option("--force", "replace the file of --out if it exists")
    .option("--gzip", "compress")
    .addHelpText(
      "after",
      `
Without --url or PRISM_URL it reads the data directory, by its running server if there is one; with a token, what that token may read.
No secret and no hash of one is ever written. Exporting the audit trail is itself recorded in it.

Examples:
  $ prism export events --from 24h | jq .type
  $ prism export audit --out audit.csv.gz --gzip
  $ prism export notifications --project shop --from 2026-01-01 --to 2026-02-01 --format json`,
    )
    .action(async (kind: ExportKind, flags: Flags, command: Command) => run(contextOf(command), kind, flags));
}

async function run(
  context: Context,
  kind: ExportKind,
  { out, gzip = false, force = false, format: given, ...selection }: Flags,
): Promise<void> {
  if (selection.project !== undefined && (kind === "audit" || kind === "users"))
    throw new CommandError(EXIT.usage, `--project does not select ${kind}; it selects events, notifications and rules`);
  const file = out === "-" ? undefined : out;
  if (gzip && file === undefined && process.stdout.isTTY === true)
    throw new CommandError(
      EXIT.usage,
      "--gzip would fill the terminal with bytes; give --out, or send stdout elsewhere",
    );
  requireReplaceable(file, force);
  const format = given ?? (context.out.json ? "ndjson" : DEFAULT_FORMATS[kind]);
  const wanted = { kind, format, ...selection };
  const { exportedRows } = await import("./export-rows.ts");
  const rows = await withServer(context, async (api) => {
    const source = await exportedRows(api, wanted);
    const progress = context.out.progress(`exporting ${kind}`);
    let count = 0;
    const onRow = (): void => {
      count++;
      // Rows on the terminal show progress themselves.
      if (file !== undefined || process.stdout.isTTY !== true) progress.update(count);
    };
    try {
      await writeRows(formatRows(source, format, onRow), { file, gzip, force });
    } finally {
      progress.end();
    }
    return count;
  });
  if (file !== undefined) context.out.result({ kind, format, rows, file }, () => "");
  context.out.note(`${rows} ${rows === 1 ? "row" : "rows"} of ${kind}${file === undefined ? "" : ` in ${file}`}`);
}
