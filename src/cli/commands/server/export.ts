import { Argument, type Command, Option } from "commander";
import { countText } from "../../../core/text/clean-text.ts";
import {
  defaultFormat,
  EXPORT_FORMATS,
  EXPORT_KINDS,
  type ExportFormat,
  type ExportKind,
  type ExportSelection,
} from "../../../remote/export/kinds.ts";
import type { CommandContext } from "../../context.ts";
import { requireReplaceable, writeRows } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag, pastFlag } from "../../output/flag-values.ts";
import { single } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { addExportConfig } from "../configuration/managed.ts";

interface Flags extends ExportSelection {
  readonly format?: ExportFormat;
  readonly force?: boolean;
  readonly out?: string;
  readonly gzip?: boolean;
}

export function addExport(program: Command): void {
  const command = single(program, "export", {
    text: "export events, notifications, incidents, alerts, the audit trail, rules or users",
    about: `Without --url or PRISM_URL it exports from the data directory. With a token it exports what the token may read.
Secrets and their hashes are never exported. An export of the audit trail is recorded in it.`,
    examples: [
      "events --from 24h | jq .type",
      "audit --out audit.csv.gz --gzip",
      "notifications --project shop --from 2026-01-01 --to 2026-02-01 --format json",
    ],
    args: { kind: new Argument("<kind>", "what to export").choices(EXPORT_KINDS) },
    flags: {
      format: new Option("--format <format>", "format (default: csv for audit, otherwise ndjson)").choices(
        EXPORT_FORMATS,
      ),
      from: ["--from <time>", "rows from this time on: a time, a day, or a duration before now such as 24h", pastFlag],
      to: ["--to <time>", "rows before this time", pastFlag],
      project: [
        "--project <project>",
        "events, notifications, incidents, alerts or rules of one project: id or slug",
        collectFlag,
      ],
      out: ["--out <file>", "file to write (default, and with -: stdout)"],
      force: ["--force", "replace the file of --out if it exists"],
      gzip: ["--gzip", "compress with gzip"],
    },
    act: (context, { kind, project, ...flags }) =>
      run(context, kind as ExportKind, { ...flags, project: [project ?? []].flat().at(-1) } as Flags),
  });
  addExportConfig(command);
}

async function run(
  context: CommandContext,
  kind: ExportKind,
  { out, gzip = false, force = false, format: given, ...selection }: Flags,
): Promise<void> {
  if (selection.project !== undefined && (kind === "audit" || kind === "users"))
    throw new CommandError(
      EXIT.usage,
      `--project does not select ${kind}; it selects events, notifications, incidents, alerts and rules`,
    );
  const file = out === "-" ? undefined : out;
  if (gzip && file === undefined && process.stdout.isTTY === true)
    throw new CommandError(EXIT.usage, "--gzip writes no text for a terminal; give --out, or redirect stdout");
  requireReplaceable(file, force);
  const format = given ?? (context.out.json ? "ndjson" : defaultFormat(kind));
  const wanted = { kind, format, ...selection };
  const { exportedRows, formatRows } = await import("../../../remote/export/rows.ts");
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
  context.out.note(`${countText(rows, "row")} of ${kind}${file === undefined ? "" : ` in ${file}`}`);
}
