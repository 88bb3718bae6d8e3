import { readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, sep } from "node:path";
import type { Command } from "commander";
import { countText } from "../../../core/clean-text.ts";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import type { ImportedConfiguration } from "../../../features/alertmanager/import/configuration.ts";
import type { ImportedReceiver } from "../../../features/alertmanager/import/receiver.ts";
import {
  countRoutes,
  type Part,
  partAt,
  requestOf,
  without,
  wordsOf,
} from "../../../features/alertmanager/import/request.ts";
import type { ImportNote } from "../../../features/alertmanager/import/yaml-file.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { type Context, contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { withServer } from "../../with-server.ts";

interface Flags {
  readonly project: string;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
  readonly allowEmpty?: boolean;
  readonly secretsDir?: string;
}

type Outcome = "created" | "updated" | "unchanged";

interface PolicyReport {
  readonly name: string;
  readonly outcome: Outcome;
  readonly channels: number;
  readonly webhooks: number;
  readonly users: readonly string[];
  readonly opensIncidents: boolean;
}

/** The report of an import, which `--json` prints. */
interface ImportReport {
  readonly project: string;
  readonly dryRun: boolean;
  readonly policies: readonly PolicyReport[];
  readonly channels: readonly { readonly name: string; readonly preset: string; readonly outcome: Outcome }[];
  readonly routing: { readonly outcome: Outcome; readonly routes: number };
  readonly inhibitRules: number;
  readonly timeIntervals: number;
  readonly changed: readonly ImportNote[];
  readonly notTranslated: readonly ImportNote[];
}

/** `prism import`: configurations of other programs. */
export function addImport(program: Command): void {
  program
    .command("import")
    .description("import the configuration of another program")
    .addHelpText("after", "\nExample:\n  $ prism import alertmanager alertmanager.yml --dry-run")
    .command("alertmanager")
    .description("turn a configuration of Alertmanager into channels, policies and routes")
    .argument("<file>", "alertmanager.yml; - for stdin")
    .option("--project <project>", "id or slug of the project", "default")
    .option("--dry-run", "check everything, report what would be done, and change nothing")
    .option("--replace", "replace the routes of the project, and policies and channels of the same name")
    .option("--secrets-dir <dir>", "also read files of secrets below this directory, not only beside <file>")
    .option("--allow-empty", "import without what cannot be translated; a policy without steps falls back")
    .addHelpText(
      "after",
      `
A receiver becomes a policy: a service such as Slack is a channel of the project, a webhook is a step that sends
Alertmanager's body, a mail address notifies the user with this verified address; a receiver without configurations
opens no incidents. Routes, inhibition rules and time intervals become the project's routes, with the same defaults.
All is stored, or nothing: an invalid file, a part that cannot be translated, or a change of what exists without
--replace is refused with its position (exit code 7). With --allow-empty the rest is imported without the parts that
cannot be translated (exit code 8).

Examples:
  $ prism import alertmanager /etc/prometheus/alertmanager.yml --dry-run
  $ prism import alertmanager alertmanager.yml --project shop --replace`,
    )
    .action(async (file: string, flags: Flags, command: Command) => run(contextOf(command), file, flags));
}

async function run(context: Context, file: string, flags: Flags): Promise<void> {
  const { readConfiguration } = await import("../../../features/alertmanager/import/configuration.ts");
  const text = file === "-" ? await readStdin() : readTextFile(file, "<file>");
  // As in Alertmanager, files of secrets are named relative to the configuration.
  const folder = file === "-" ? "." : dirname(file);
  const readFile = readerBelow(folder, flags.secretsDir);
  const configuration = read(() => readConfiguration(text, readFile));
  const report = await withServer(context, (server) => importInto(server, configuration, flags));
  context.out.result(report, () => linesOf(report));
  for (const { path, message } of report.changed) context.out.note(`changed: ${path}: ${printable(message)}`);
  for (const { path, message } of report.notTranslated)
    context.out.note(`not translated: ${path}: ${printable(message)}`);
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
function read(readFile: () => ImportedConfiguration): ImportedConfiguration {
  try {
    return readFile();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const problems = (error.details ?? []).map(({ path, message }) => ({ path: path ?? "", message }));
    throw refusal(`${error.message}; nothing was imported:`, problems, error);
  }
}

function refusal(text: string, problems: readonly ImportNote[], cause?: unknown): CommandError {
  const lines = problems.map(({ path, message }) => `  - ${path ? `${path}: ` : ""}${printable(message)}`);
  return new CommandError(EXIT.conflict, [text, ...lines].join("\n"), { cause });
}

/** The answer of the server. */
interface Answer {
  readonly channels: readonly {
    readonly ref: string;
    readonly name: string;
    readonly preset: string;
    outcome: Outcome;
  }[];
  readonly policies: readonly { readonly name: string; readonly outcome: Outcome }[];
  readonly routing: Outcome;
}

/** Each refusal leaves out at least one part. */
const MAX_ROUNDS = 100;

/** The server checks everything before it stores anything; what it refuses is a part of a receiver. */
async function importInto(
  server: ServerClient,
  { routing, receivers: all, left, changed }: ImportedConfiguration,
  { project, dryRun = false, replace = false, allowEmpty = false }: Flags,
): Promise<ImportReport> {
  const path = `/api/v1/routes/import?projectId=${encodeURIComponent(project)}`;
  const notTranslated = [...left];
  let receivers = all;
  let checked: Answer | undefined;
  for (let round = 0; checked === undefined && round < MAX_ROUNDS; round += 1) {
    const { body, parts } = requestOf(receivers, routing);
    try {
      checked = await server.post<Answer>(path, { ...body, dryRun: true });
    } catch (error) {
      const refused = refusedParts(error, parts);
      notTranslated.push(...refused.map(({ part, message }) => ({ path: part.path, message })));
      receivers = receivers.map((receiver) => without(receiver, new Set(refused.map(({ part }) => part))));
    }
  }
  notTranslated.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
  if (notTranslated.length > 0 && !allowEmpty)
    throw refusal(
      "this cannot be translated; nothing was imported. Mend the file, or give --allow-empty to import the rest:",
      notTranslated,
    );
  if (checked === undefined) throw refusal("the server refuses the import; nothing was imported:", notTranslated);
  if (!replace) requireNew(checked, project);
  const { body } = requestOf(receivers, routing);
  const done = dryRun ? checked : await server.post<Answer>(path, { ...body, replace }).catch(wouldChange);
  return {
    ...{ project, dryRun, policies: policiesOf(receivers, done), channels: done.channels.map(channelReport) },
    routing: { outcome: done.routing, routes: countRoutes(routing.route) },
    inhibitRules: routing.inhibitRules.length,
    timeIntervals: routing.timeIntervals.length,
    ...{ changed, notTranslated },
  };
}

/** @throws the error if it is about something else */
function refusedParts(error: unknown, parts: ReadonlyMap<string, Part>) {
  if (!(error instanceof ServerRefused) || error.details.length === 0) throw error;
  const refused = error.details.map((detail) => {
    const part = partAt(detail, parts);
    return { part, message: wordsOf(detail, part) };
  });
  const known = refused.flatMap(({ part, message }) => (part ? [{ part, message }] : []));
  if (known.length < refused.length) throw refusal(`${error.message}:`, error.details.map(noteOf), error);
  return known;
}

function noteOf({ path = "", message }: ErrorDetail): ImportNote {
  return { path, message };
}

/** @throws CommandError 7 */
function requireNew({ policies, routing }: Answer, project: string): void {
  const updated = (items: readonly { readonly name: string; readonly outcome: Outcome }[]): string =>
    items.flatMap(({ name, outcome }) => (outcome === "updated" ? [name] : [])).join(", ");
  const what = [
    ...(routing === "updated" ? [`the routes of the project ${project}`] : []),
    ...(updated(policies) === "" ? [] : [`the policies ${updated(policies)}`]),
  ].join(" and ");
  if (what !== "")
    throw new CommandError(EXIT.conflict, `this would change ${what}; nothing was imported: give --replace`);
}

/** Of channels only the import itself tells: a dry run does not compare secrets. */
function wouldChange(error: unknown): never {
  if (!(error instanceof ServerRefused) || error.code !== "INVALID_STATE") throw error;
  const text = error.message.replace("replace must be true", "nothing was imported: give --replace");
  throw new CommandError(EXIT.conflict, text, { cause: error });
}

function policiesOf(receivers: readonly ImportedReceiver[], { policies }: Answer): PolicyReport[] {
  return receivers.map(({ name, channels, webhooks, addresses, isSink }, at) => ({
    name,
    outcome: policies[at]?.outcome ?? "unchanged",
    channels: channels.length,
    webhooks: webhooks.length,
    users: addresses.map(({ address }) => address),
    opensIncidents: !isSink,
  }));
}

function channelReport({ name, preset, outcome }: Answer["channels"][number]) {
  return { name, preset, outcome };
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
