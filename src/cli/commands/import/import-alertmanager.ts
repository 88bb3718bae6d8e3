import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { PrismError } from "../../../core/errors.ts";
import type { RouteNode } from "../../../features/alerts/policies/routing.ts";
import { type Context, contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { withServer } from "../../with-server.ts";
import type { ImportedConfiguration } from "./read-configuration.ts";
import type { ImportedReceiver } from "./read-receiver.ts";
import type { ImportNote } from "./yaml-file.ts";

interface Flags {
  readonly project: string;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
}

type Outcome = "created" | "updated" | "unchanged";

interface PolicyReport {
  readonly name: string;
  readonly outcome: Outcome;
  readonly webhooks: number;
  readonly users: readonly string[];
  readonly opensIncidents: boolean;
}

/** The report of an import, which `--json` prints. */
interface ImportReport {
  readonly project: string;
  readonly dryRun: boolean;
  readonly policies: readonly PolicyReport[];
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
    .description("turn a configuration of Alertmanager into policies and routes")
    .argument("<file>", "alertmanager.yml; - for stdin")
    .option("--project <project>", "id or slug of the project", "default")
    .option("--dry-run", "check everything, report what would be done, and change nothing")
    .option("--replace", "replace the routes of the project, and policies of the same name")
    .addHelpText(
      "after",
      `
A receiver becomes a policy: a webhook is a step that sends Alertmanager's body, an e-mail address notifies the user
with this address; a receiver without either opens no incidents. Routes, inhibition rules and time intervals become the project's routes, with the same defaults.
Other services and templates are listed as not translated; the exit code is then 8. An invalid file changes nothing
and exits with 7, as do routes or policies that exist already, without --replace.

Examples:
  $ prism import alertmanager /etc/prometheus/alertmanager.yml --dry-run
  $ prism import alertmanager alertmanager.yml --project shop --replace`,
    )
    .action(async (file: string, flags: Flags, command: Command) => run(contextOf(command), file, flags));
}

async function run(context: Context, file: string, flags: Flags): Promise<void> {
  const { readConfiguration } = await import("./read-configuration.ts");
  const text = file === "-" ? await readStdin() : readTextFile(file, "<file>");
  const configuration = read(() => readConfiguration(text));
  const report = await withServer(context, (server) => importInto(server, configuration, flags));
  context.out.result(report, () => linesOf(report));
  for (const { path, message } of report.changed) context.out.note(`changed: ${path}: ${printable(message)}`);
  for (const { path, message } of report.notTranslated)
    context.out.note(`not translated: ${path}: ${printable(message)}`);
  if (report.notTranslated.length > 0) process.exitCode = EXIT.checkFailed;
}

/** @throws CommandError 7 with every problem of the file */
function read(readFile: () => ImportedConfiguration): ImportedConfiguration {
  try {
    return readFile();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const lines = (error.details ?? []).map(({ path, message }) => `  - ${path ? `${path}: ` : ""}${message}`);
    throw new CommandError(EXIT.conflict, [`${error.message}; nothing was imported:`, ...lines].join("\n"), {
      cause: error,
    });
  }
}

interface PolicyView extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly steps: readonly Readonly<Record<string, unknown>>[];
  readonly sendResolved: boolean;
}

interface RoutingView extends Readonly<Record<string, unknown>> {
  readonly version: number;
}

/** Everything is compared first, so that a refusal changes nothing. */
async function importInto(
  server: ServerClient,
  { routing, receivers, left, changed }: ImportedConfiguration,
  { project, dryRun = false, replace = false }: Flags,
): Promise<ImportReport> {
  const query = `projectId=${encodeURIComponent(project)}`;
  const existing = (await server.get<{ data: PolicyView[] }>(`/api/v1/policies?${query}`)).data;
  const current = await server.get<RoutingView>(`/api/v1/routes?${query}`);
  const notes = [...left];
  const plans: PolicyPlan[] = [];
  for (const receiver of receivers) plans.push(await planPolicy(server, receiver, existing, notes));
  const routingOutcome = outcomeOf(current.version > 0 ? current : null, routing);
  if (!replace) requireNew(plans, routingOutcome, project);
  if (!dryRun) {
    for (const plan of plans) await storePolicy(server, plan, project);
    if (routingOutcome !== "unchanged") await server.change("PUT", `/api/v1/routes?${query}`, routing, current.version);
  }
  return {
    project,
    dryRun,
    policies: plans.map(({ report }) => report),
    routing: { outcome: routingOutcome, routes: countRoutes(routing.route) },
    inhibitRules: routing.inhibitRules.length,
    timeIntervals: routing.timeIntervals.length,
    changed,
    notTranslated: notes,
  };
}

interface PolicyPlan {
  readonly report: PolicyReport;
  readonly existing: PolicyView | undefined;
  readonly body: {
    readonly steps: readonly object[];
    readonly sendResolved: boolean;
    readonly opensIncidents: boolean;
  };
}

async function planPolicy(
  server: ServerClient,
  receiver: ImportedReceiver,
  policies: readonly PolicyView[],
  notes: ImportNote[],
): Promise<PolicyPlan> {
  const { name, webhooks, sendResolved, isSink, path } = receiver;
  const users = await usersOf(server, receiver, notes);
  const steps = [
    ...(users.length > 0 ? [{ type: "notify", users: users.map(({ id }) => id), urgency: "high" }] : []),
    ...webhooks.map((webhook) => ({ type: "webhook", ...webhook, format: "alertmanager" })),
  ];
  if (steps.length === 0 && !isSink)
    notes.push({ path, message: `the policy ${JSON.stringify(name)} has no steps and notifies no user` });
  const existing = policies.find((policy) => policy.name === name);
  const body = { steps, sendResolved, opensIncidents: !isSink };
  const report = {
    name,
    outcome: outcomeOf(existing && existing.version > 0 ? existing : null, body),
    webhooks: webhooks.length,
    users: users.map(({ address }) => address),
    opensIncidents: !isSink,
  };
  return { report, existing, body };
}

async function usersOf(
  server: ServerClient,
  { addresses }: ImportedReceiver,
  notes: ImportNote[],
): Promise<{ id: string; address: string }[]> {
  const users: { id: string; address: string }[] = [];
  for (const { address, path } of addresses) {
    const found = await server.get<{ data: { id: string; email: string | null }[] }>(
      `/api/v1/users?q=${encodeURIComponent(address)}`,
    );
    const user = found.data.find(({ email }) => email?.toLowerCase() === address.toLowerCase());
    if (user) users.push({ id: user.id, address });
    else notes.push({ path, message: `no user has the address ${address}; create one and import again` });
  }
  return users;
}

/** Members that the server adds do not count. */
function outcomeOf(current: Readonly<Record<string, unknown>> | null, wanted: object): Outcome {
  if (current === null) return "created";
  return isIncluded(wanted, current) ? "unchanged" : "updated";
}

/** Whether `current` has all members of `wanted`; lists have the same items. */
function isIncluded(wanted: unknown, current: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return isDeepStrictEqual(wanted, current);
  if (typeof current !== "object" || current === null) return false;
  if (Array.isArray(wanted))
    return (
      Array.isArray(current) &&
      wanted.length === current.length &&
      wanted.every((item, at) => isIncluded(item, current[at]))
    );
  return Object.entries(wanted).every(([name, value]) => isIncluded(value, (current as Record<string, unknown>)[name]));
}

/** @throws CommandError 7 */
function requireNew(plans: readonly PolicyPlan[], routing: Outcome, project: string): void {
  const updated = plans.filter(({ report }) => report.outcome === "updated").map(({ report }) => report.name);
  if (updated.length === 0 && routing !== "updated") return;
  const what = [
    ...(routing === "updated" ? [`the routes of the project ${project}`] : []),
    ...(updated.length > 0 ? [`the policies ${updated.join(", ")}`] : []),
  ].join(" and ");
  throw new CommandError(EXIT.conflict, `this would change ${what}; nothing was imported: give --replace`);
}

async function storePolicy(server: ServerClient, plan: PolicyPlan, project: string): Promise<void> {
  const { existing, body, report } = plan;
  if (report.outcome === "unchanged") return;
  if (existing) await server.change("PATCH", `/api/v1/policies/${existing.id}`, body, existing.version);
  else await server.post("/api/v1/policies", { projectId: project, name: report.name, ...body });
}

function countRoutes({ routes = [] }: RouteNode): number {
  return 1 + routes.reduce((count, route) => count + countRoutes(route), 0);
}

function linesOf({ dryRun, policies, routing, inhibitRules, timeIntervals }: ImportReport): string[] {
  const head = ["POLICY", dryRun ? "WOULD BE" : "OUTCOME", "WEBHOOKS", "USERS"];
  const rows = policies.map(({ name, outcome, webhooks, users, opensIncidents }) => [
    printable(name),
    outcome,
    String(webhooks),
    opensIncidents ? users.map(printable).join(", ") || "-" : "opens no incidents",
  ]);
  const counts = [
    `${routing.routes} ${routing.routes === 1 ? "route" : "routes"}`,
    `${inhibitRules} ${inhibitRules === 1 ? "inhibition rule" : "inhibition rules"}`,
    `${timeIntervals} ${timeIntervals === 1 ? "time interval" : "time intervals"}`,
  ];
  return [...[table(head, rows)].flat(), `Routes ${dryRun ? "would be " : ""}${routing.outcome}: ${counts.join(", ")}`];
}
