import type { Command } from "commander";
import type { Alert, AlertDetails, AlertExplanation, AlertTrial, PostedAlerts } from "../../../client/api-types.gen.ts";
import { isUuid } from "../../../core/ids.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { futureFlag, integerFlag, timeOf } from "../../output/flag-values.ts";
import { cut, type Output, printable, shortTime } from "../../output/output.ts";
import { type Call, callOf, listOf, resource, type Values } from "../../resource.ts";
import { labelsOf, labelText, OF_PROJECT, SEARCHED, timelineText, wrapped } from "./shared.ts";

const SEVERITIES = ["critical", "error", "warning", "info"];

/** Alerts without one of these severities come last. */
function rankOf({ severity }: Alert): number {
  const rank = SEVERITIES.indexOf(severity ?? "");
  return rank === -1 ? SEVERITIES.length : rank;
}

async function alertsOf({ server, given: { projectId, matcher, resolved, limit } }: Call): Promise<Alert[]> {
  const order = resolved ? { state: "resolved" } : { order: "severity" };
  const query = { projectId, matcher, ...order, limit: Math.min(Number(limit), 100) };
  const found = await listOf(server, "listAlerts", query, Number(limit));
  return found.sort((a, b) => rankOf(a) - rankOf(b));
}

/** An alert by its id, or a prefix of id, key or name among those that fire. @throws CommandError 6, 7 */
async function findAlert(server: ServerClient, ref: string, { projectId }: Values): Promise<AlertDetails> {
  if (isUuid(ref)) return callOf(server, "getAlert", { id: ref });
  const firing = await listOf(server, "listAlerts", { projectId }, SEARCHED);
  const { id } = pick(firing, ref, {
    one: "firing alert",
    namesOf: ({ key, labels }) => [key.replace(/^\w+:/, ""), labels["alertname"] ?? null],
    lineOf: ({ id, labels }) => `${id}  ${cut(labelText(labels))}`,
  });
  return callOf(server, "getAlert", { id });
}

function alertLines(alert: AlertDetails, out: Output): string[] {
  const { id, state, timedOut, startsAt, resolvedAt, source, severity, labels, annotations, incidents = [] } = alert;
  const end = timedOut ? "no longer reported, timed out" : "resolved";
  return [
    out.bold(`Alert ${id}`),
    `  ${timedOut ? "fired" : state} since ${shortTime(startsAt)}, source ${source}, severity ${severity ?? "-"}`,
    ...(resolvedAt === null ? [] : [`  ${end} ${shortTime(resolvedAt)}`]),
    ...Object.entries(labels).flatMap(([name, value]) => wrapped(`${name}=${JSON.stringify(value)}`, "  ")),
    ...Object.entries(annotations).flatMap(([name, value]) => wrapped(`${name}: ${value}`, "  ")),
    ...incidents.map(
      (each) =>
        `  incident ${each.number}, ${each.resolvedBy === "timeout" ? "no longer reported" : each.state}: ${cut(each.title, 50)}`,
    ),
  ];
}

async function fire({ server, given: { projectId, labels: words, key, severity, summary } }: Call): Promise<unknown> {
  const annotations = summary === undefined ? {} : { annotations: { summary } };
  const labels = { ...(severity === undefined ? {} : { severity }), ...labelsOf(words as readonly string[]) };
  const alerts = [{ key, severity, labels, ...annotations }];
  return (await callOf(server, "postAlerts", { projectId, alerts })).data[0];
}

/** @throws CommandError 2, 6, 7 */
async function explained({ server, given: { words, projectId, at } }: Call): Promise<AlertTrial | AlertExplanation> {
  const given = words as readonly string[];
  if (given.some((text) => text.includes("=")))
    return callOf(server, "explainLabels", { projectId, labels: labelsOf(given), at: timeOf(at) });
  if (at !== undefined) throw new CommandError(EXIT.usage, "--at is for labels, such as team=db");
  if (given.length > 1) throw new CommandError(EXIT.usage, "give one alert, or labels such as team=db");
  const { id } = await findAlert(server, given[0] ?? "", { projectId });
  return callOf(server, "explainAlert", { id });
}

function stateText({ state, snoozedUntil }: NonNullable<AlertTrial["routes"][number]["incident"]>): string {
  return snoozedUntil ? `${state}, snoozed until ${shortTime(snoozedUntil)}` : state;
}

function trialLines({ routes, answer }: AlertTrial, out: Output): string[] {
  return [
    ...routes.flatMap(({ route, policy, incident, withheld, next }) => [
      ...wrapped(`Route ${route.join(" / ")}, policy ${policy.name}`),
      incident ? `  joins incident ${incident.number} (${stateText(incident)})` : "  opens an incident",
      ...timelineText([...withheld, ...next], out),
      "",
    ]),
    ...wrapped(answer),
  ];
}

function toldText({ notified, mirrored }: NonNullable<AlertExplanation["incidents"][number]["user"]>): string {
  if (mirrored) return "would have been notified: the project is a mirror, nothing was sent";
  return notified ? "was notified" : "was not notified";
}

/** The timelines of alerts and incidents; the answer comes last. */
export function explanationLines(view: AlertExplanation, out: Output): string[] {
  return [
    ...view.alerts.flatMap(({ id, lines }) => [out.bold(`Alert ${id}`), ...timelineText(lines, out), ""]),
    ...(view.alertsLeftOut > 0 ? [`and ${view.alertsLeftOut} more`, ""] : []),
    ...view.incidents.flatMap(({ number, title, alerts, firing, lines, linesLeftOut, people, user, next }) => [
      `${out.bold(`Incident ${number}  ${printable(title)}`)}  ${firing} of ${alerts} firing`,
      ...(linesLeftOut > 0 ? [`  (${linesLeftOut} earlier lines left out)`] : []),
      ...timelineText(lines, out),
      ...people.flatMap(({ name, reasons }) => wrapped(`${name}: ${reasons.join("; ")}`, "  ")),
      ...(user
        ? [out.bold(`${printable(user.name)} ${toldText(user)}`), ...user.lines.flatMap((line) => wrapped(line, "  "))]
        : []),
      ...(next.length > 0 ? [out.bold("Next"), ...timelineText(next, out)] : []),
      "",
    ]),
    ...wrapped(view.answer),
  ];
}

/** Alerts on a running server. */
export function addAlerts(program: Command): void {
  const one = { one: true, lines: (alert: AlertDetails, { out }: Call) => alertLines(alert, out) } as const;
  resource(program, "alerts", "alert", {
    text: "list, show, fire, resolve and explain alerts",
    examples: ["alerts list", "alerts explain DiskFull"],
    ref: "id, key or name of a firing alert, or a prefix",
    scope: { projectId: OF_PROJECT },
    find: findAlert,
    verbs: {
      list: {
        text: "list firing alerts, the most severe first, then the latest",
        examples: ["", `--matcher 'team="db"' --json`],
        flags: {
          matcher: ["--matcher <matchers>", 'conditions on labels, such as team="db",severity=~"critical|page"'],
          resolved: ["--resolved", "resolved alerts instead"],
          limit: ["--limit <n>", "list at most this many", integerFlag(1, 100_000), 50],
        },
        get: alertsOf,
        columns: {
          ...{ ID: "id:id", SINCE: "startsAt@", SEVERITY: "severity" },
          LABELS: ({ labels }: Alert) => cut(labelText(labels), 37),
        },
      },
      show: { ...one, text: "show an alert with its incidents", examples: ["DiskFull"] },
      resolve: {
        ...one,
        text: "resolve an alert that its source does not resolve",
        examples: ["DiskFull --project ops"],
        of: "resolveAlert",
      },
      fire: {
        text: "send an alert",
        examples: ["alertname=DiskFull instance=db-2 --severity critical"],
        args: { labels: ["<labels...>", "labels, such as team=db"] },
        flags: {
          key: ["--key <key>", "identity of the alert (default: its labels)"],
          severity: ["--severity <severity>", "severity, and the label severity unless it is given"],
          summary: ["--summary <text>", "text for people"],
        },
        get: fire,
        lines: ({ id, status }: PostedAlerts["data"][number]) => `${id}  ${status}`,
      },
      explain: {
        text: "explain an alert, or what would happen to labels; nothing is stored",
        about: "With labels it shows routes, policies, silences and the people on call.",
        examples: ["DiskFull", "alertname=DiskFull instance=db-2", "team=db --at 2026-12-24T03:00:00Z"],
        args: { words: ["<alert...>", "id, key or name of an alert, or labels such as team=db"] },
        flags: { at: ["--at <time>", "when the labels would fire: a time, or a duration from now", futureFlag] },
        get: explained,
        lines: (view: AlertTrial | AlertExplanation, { out }) =>
          "routes" in view ? trialLines(view, out) : explanationLines(view, out),
      },
    },
  });
}
