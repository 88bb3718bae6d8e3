import { readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, sep } from "node:path";
import { PrismError } from "../../../core/errors.ts";
import { countText } from "../../../core/text/clean-text.ts";
import {
  type ImportFlags,
  type ImportReport,
  importInto,
  refusal,
} from "../../../features/protocols/alertmanager/import/apply.ts";
import type { ImportedConfiguration } from "../../../features/protocols/alertmanager/import/configuration.ts";
import type { ImportNote } from "../../../features/protocols/alertmanager/import/yaml-file.ts";
import type { CommandContext } from "../../context.ts";
import { readFileOrStdin } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";

interface Flags extends ImportFlags {
  readonly secretsDir?: string;
  readonly out?: string;
  readonly force?: boolean;
}

export const ALERTMANAGER: Verb = {
  text: "turn a configuration of Alertmanager into channels, policies and routes",
  about: `A receiver becomes a policy: a service such as Slack is a channel of the project, a webhook is a step that sends
Alertmanager's body, a mail address notifies the user with this verified address; a receiver without configurations
opens no incidents. Routes, inhibition rules and time intervals become the project's routes, with the same defaults.
All is stored, or nothing: an invalid file, a part that cannot be translated, or a change of what exists without
--replace is refused with its position (exit code 7). With --allow-empty the rest is imported without the parts that
cannot be translated (exit code 8). With --out nothing is stored and no server is asked: it writes configuration files
for prism check, plan and apply, and the secrets into a file for --secrets-file.`,
  examples: [
    "alertmanager.yml --out oncall",
    "/etc/prometheus/alertmanager.yml --dry-run",
    "alertmanager.yml --project shop --replace",
  ],
  args: { file: ["<file>", "alertmanager.yml; - for stdin"] },
  flags: {
    project: ["--project <project>", "id or slug of the project", "default"],
    dryRun: ["--dry-run", "check everything, report what would be done, and change nothing"],
    replace: ["--replace", "replace the routes of the project, and policies and channels of the same name"],
    secretsDir: ["--secrets-dir <dir>", "also read files of secrets below this directory, not only beside <file>"],
    out: ["--out <dir>", "write configuration files into this directory, and store nothing"],
    force: ["--force", "with --out: replace files that an import did not write, or that were changed since"],
    allowEmpty: ["--allow-empty", "import without what cannot be translated; a policy without steps falls back"],
  },
  act: (context, { file, ...flags }) => run(context, String(file), flags as unknown as Flags),
};

async function run(context: CommandContext, file: string, flags: Flags): Promise<void> {
  const { readConfiguration } = await import("../../../features/protocols/alertmanager/import/configuration.ts");
  const text = await readFileOrStdin(file, "<file>");
  // As in Alertmanager, files of secrets are named relative to the configuration.
  const folder = file === "-" ? "." : dirname(file);
  const readFile = readerBelow(folder, flags.secretsDir);
  const configuration = await read(text, () => readConfiguration(text, readFile));
  if (flags.out !== undefined) {
    const { writeFiles } = await import("./alertmanager-files.ts");
    return writeFiles(context, configuration, { ...flags, out: flags.out });
  }
  const report = await withServer(context, (server) => importInto(server, configuration, flags));
  context.out.result(report, () => linesOf(report));
  const textOf = ({ path, message }: ImportNote): string =>
    printable(`${configuration.place(path)}${path}: ${message}`);
  for (const note of report.changed) context.out.note(`changed: ${textOf(note)}`);
  for (const note of report.notTranslated) context.out.note(`not translated: ${textOf(note)}`);
  if (report.conflict !== null) throw new CommandError(EXIT.conflict, `${report.conflict}: give --replace`);
  if (report.notTranslated.length > 0) process.exitCode = EXIT.checkFailed;
}

/**
 * Reads files of secrets. A configuration of someone else must not have any other file of the
 * operator sent to a service of its choice.
 */
function readerBelow(folder: string, secretsDir?: string): (path: string) => string {
  const folders = [folder, ...(secretsDir === undefined ? [] : [secretsDir])];
  return (path) => {
    const file = realpathSync(isAbsolute(path) ? path : join(folder, path));
    if (!folders.some((each) => file.startsWith(join(realpathSync(each), sep))))
      throw Object.assign(new Error("outside"), { code: `outside of ${folders.join(" and ")}; see --secrets-dir` });
    return readFileSync(file, "utf8");
  };
}

/** @throws CommandError 7 with every problem of the file */
async function read(text: string, readFile: () => ImportedConfiguration): Promise<ImportedConfiguration> {
  try {
    return readFile();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const problems = (error.details ?? []).map(({ path, message }) => ({ path: path ?? "", message }));
    const { placesIn } = await import("../../../features/protocols/alertmanager/import/yaml-file.ts");
    throw refusal(`${error.message}; nothing was imported:`, problems, placesIn(text), error);
  }
}

function linesOf(report: ImportReport): string[] {
  const { dryRun, policies, channels, routing, inhibitRules, timeIntervals } = report;
  const head = ["POLICY", dryRun ? "WOULD BE" : "OUTCOME", "CHANNELS", "WEBHOOKS", "USERS"];
  const rows = policies.map(({ name, outcome, channels: own, webhooks, users, opensIncidents }) => [
    printable(name),
    outcome,
    String(own),
    String(webhooks),
    opensIncidents ? users.map(printable).join(", ") || "-" : "opens no incidents",
  ]);
  const counts = [
    countText(routing.routes, "route"),
    countText(inhibitRules, "inhibition rule"),
    countText(timeIntervals, "time interval"),
  ];
  const untested = dryRun ? [] : channels.filter(({ outcome }) => outcome !== "unchanged");
  return [
    ...[table(head, rows)].flat(),
    `Routes ${dryRun ? "would be " : ""}${routing.outcome}: ${counts.join(", ")}`,
    ...(untested.length > 0 ? ["Test the channels (prism doctor lists those that were never tested):"] : []),
    ...untested.map(({ name }) => `  prism channels test ${JSON.stringify(printable(name))}`),
  ];
}
