import type { Command } from "commander";
import { isUuid } from "../../../core/ids.ts";
import type { AlertExplanation, AlertTrial } from "../../../features/explain/alert-schema.ts";
import type { Context } from "../../context.ts";
import { everyItem, online, pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { cut, printable, shortTime, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import {
  type Labels,
  labelsOf,
  labelText,
  OF_PROJECT,
  type ProjectFlag,
  SEARCHED,
  subcommand,
  timelineText,
  wrapped,
} from "./things.ts";

const PATH = "/api/v1/alerts";

interface Alert {
  readonly id: string;
  readonly key: string;
  readonly state: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly severity: string | null;
  readonly source: string;
  readonly startsAt: string;
  readonly resolvedAt: string | null;
  readonly timedOut: boolean;
  readonly incidents?: readonly {
    readonly number: number;
    readonly state: string;
    readonly resolvedBy: string | null;
    readonly title: string;
  }[];
}

interface ListFlags extends ProjectFlag {
  readonly matcher?: string;
  readonly resolved?: boolean;
  readonly limit: number;
}

const SEVERITIES = ["critical", "error", "warning", "info"];

/** Alerts without one of these severities come last. */
function rankOf({ severity }: Pick<Alert, "severity">): number {
  const rank = SEVERITIES.indexOf(severity ?? "");
  return rank === -1 ? SEVERITIES.length : rank;
}

function addList(alerts: Command): void {
  subcommand(alerts, "list", "list firing alerts, the most severe first, then the latest", [
    "",
    `--matcher 'team="db"' --json`,
  ])
    .option(...OF_PROJECT)
    .option("--matcher <matchers>", 'conditions on labels, such as team="db",severity=~"critical|page"')
    .option("--resolved", "resolved alerts instead")
    .option("--limit <n>", "list at most this many", integerFlag(1, 100_000), 50)
    .action(({ project, matcher, resolved, limit }: ListFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const query = {
          projectId: project,
          matcher,
          ...(resolved ? { state: "resolved" } : { order: "severity" }),
          limit: Math.min(limit, 100),
        };
        const found = (await everyItem<Alert>(server, PATH, query, limit)).sort((a, b) => rankOf(a) - rankOf(b));
        out.result({ alerts: found }, () =>
          found.length === 0
            ? "no alerts"
            : table(
                ["ID", "SINCE", "SEVERITY", "LABELS"],
                found.map((each) => [
                  each.id.slice(0, 13),
                  shortTime(each.startsAt),
                  each.severity,
                  cut(labelText(each.labels), 37),
                ]),
              ),
        );
      }),
    );
}

/** An alert by its id, or a prefix of id, key or name among those that fire. @throws CommandError 6, 7 */
async function findAlert(server: ServerClient, ref: string, { project }: ProjectFlag): Promise<Alert> {
  if (isUuid(ref)) return server.get<Alert>(`${PATH}/${ref}`);
  const firing = await everyItem<Alert>(server, PATH, { projectId: project }, SEARCHED);
  const found = pick(firing, ref, {
    one: "firing alert",
    namesOf: ({ key, labels }) => [key.replace(/^\w+:/, ""), labels["alertname"] ?? null],
    lineOf: ({ id, labels }) => `${id}  ${cut(labelText(labels))}`,
  });
  return server.get<Alert>(`${PATH}/${found.id}`);
}

function endOf({ timedOut }: Alert): string {
  return timedOut ? "no longer reported, timed out" : "resolved";
}

function show({ out }: Context, alert: Alert): void {
  out.result(alert, () => [
    out.bold(`Alert ${alert.id}`),
    `  ${alert.timedOut ? "fired" : alert.state} since ${shortTime(alert.startsAt)}, source ${alert.source}, severity ${alert.severity ?? "-"}`,
    ...(alert.resolvedAt === null ? [] : [`  ${endOf(alert)} ${shortTime(alert.resolvedAt)}`]),
    ...Object.entries(alert.labels).flatMap(([name, value]) => wrapped(`${name}=${JSON.stringify(value)}`, "  ")),
    ...Object.entries(alert.annotations).flatMap(([name, value]) => wrapped(`${name}: ${value}`, "  ")),
    ...(alert.incidents ?? []).map(
      (each) =>
        `  incident ${each.number}, ${each.resolvedBy === "timeout" ? "no longer reported" : each.state}: ${cut(each.title, 50)}`,
    ),
  ]);
}

function addOne(alerts: Command): void {
  subcommand(alerts, "show", "show an alert with its incidents", ["DiskFull"])
    .argument("<alert>", "id, key or name of a firing alert, or a prefix")
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, context) => show(context, await findAlert(server, ref, flags))),
    );
  subcommand(alerts, "resolve", "resolve an alert that its source does not resolve", ["DiskFull --project ops"])
    .argument("<alert>", "id, key or name of a firing alert, or a prefix")
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, context) => {
        const { id } = await findAlert(server, ref, flags);
        show(context, await server.post<Alert>(`${PATH}/${id}/resolve`, {}));
      }),
    );
}

interface FireFlags extends ProjectFlag {
  readonly key?: string;
  readonly severity?: string;
  readonly summary?: string;
}

function addFire(alerts: Command): void {
  subcommand(alerts, "fire", "send an alert", ["alertname=DiskFull instance=db-2 --severity critical"])
    .argument("<labels...>", "labels, such as team=db")
    .option(...OF_PROJECT)
    .option("--key <key>", "identity of the alert (default: its labels)")
    .option("--severity <severity>", "severity, and the label severity unless it is given")
    .option("--summary <text>", "text for people")
    .action((given: readonly string[], { project, key, severity, summary }: FireFlags, command: Command) => {
      const annotations = summary === undefined ? {} : { annotations: { summary } };
      const labels = { ...(severity === undefined ? {} : { severity }), ...labelsOf(given) };
      const alert = { key, severity, labels, ...annotations };
      return online(command, async (server, { out }) => {
        const { data } = await server.post<{ data: { status: string; id: string | null }[] }>(PATH, {
          projectId: project,
          alerts: [alert],
        });
        out.result(data[0], () => `${data[0]?.id}  ${data[0]?.status}`);
      });
    });
}

function addExplain(alerts: Command): void {
  subcommand(
    alerts,
    "explain",
    "explain an alert, or what would happen to labels; nothing is stored",
    ["DiskFull", "alertname=DiskFull instance=db-2"],
    "With labels it shows routes, policies, silences and the people on call.",
  )
    .argument("<alert...>", "id, key or name of an alert, or labels such as team=db")
    .option(...OF_PROJECT)
    .action((given: readonly string[], flags: ProjectFlag, command: Command) =>
      online(command, async (server, context) => {
        const [ref = ""] = given;
        if (given.some((text) => text.includes("=")))
          return showTrial(
            context,
            await server.post<AlertTrial>("/api/v1/explain/alert", {
              projectId: flags.project,
              labels: labelsOf(given),
            }),
          );
        if (given.length > 1) throw new CommandError(EXIT.usage, "give one alert, or labels such as team=db");
        const { id } = await findAlert(server, ref, flags);
        showExplanation(context, await server.get<AlertExplanation>(`/api/v1/explain/alert/${id}`));
      }),
    );
}

function showTrial({ out }: Context, trial: AlertTrial): void {
  out.result(trial, () => [
    ...trial.routes.flatMap(({ route, policy, incident, withheld, next }) => [
      ...wrapped(`Route ${route.join(" / ")}, policy ${policy.name}`),
      incident ? `  joins incident ${incident.number} (${incident.state})` : "  opens an incident",
      ...timelineText([...withheld, ...next], out),
      "",
    ]),
    ...wrapped(trial.answer),
  ]);
}

/** The timelines of alerts and incidents; the answer comes last. */
export function showExplanation({ out }: Context, view: AlertExplanation): void {
  out.result(view, () => [
    ...view.alerts.flatMap(({ id, lines }) => [out.bold(`Alert ${id}`), ...timelineText(lines, out), ""]),
    ...(view.alertsLeftOut > 0 ? [`and ${view.alertsLeftOut} more`, ""] : []),
    ...view.incidents.flatMap(({ number, title, alerts, firing, lines, linesLeftOut, people, user, next }) => [
      `${out.bold(`Incident ${number}  ${printable(title)}`)}  ${firing} of ${alerts} firing`,
      ...(linesLeftOut > 0 ? [`  (${linesLeftOut} earlier lines left out)`] : []),
      ...timelineText(lines, out),
      ...people.flatMap(({ name, reasons }) => wrapped(`${name}: ${reasons.join("; ")}`, "  ")),
      ...(user
        ? [
            out.bold(`${printable(user.name)} was ${user.notified ? "notified" : "not notified"}`),
            ...user.lines.flatMap((line) => wrapped(line, "  ")),
          ]
        : []),
      ...(next.length > 0 ? [out.bold("Next"), ...timelineText(next, out)] : []),
      "",
    ]),
    ...wrapped(view.answer),
  ]);
}

/** Alerts on a running server. */
export function addAlerts(program: Command): void {
  const alerts = program
    .command("alerts")
    .description("list, show, fire, resolve and explain alerts")
    .addHelpText("after", "\nExamples:\n  $ prism alerts list\n  $ prism alerts explain DiskFull");
  addList(alerts);
  addOne(alerts);
  addFire(alerts);
  addExplain(alerts);
}
