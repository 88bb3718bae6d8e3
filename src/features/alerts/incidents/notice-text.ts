import { type EpochMs, toRfc3339 } from "../../../core/clock.ts";
import { cutText } from "../../rules/index.ts";
import type { AlertView } from "../types.ts";
import { type Direct, directOf } from "./assigned.ts";
import type { NoticeReason } from "./machine.ts";
import type { IncidentRow } from "./store.ts";

/* Texts of notifications of incidents. Mails and the console show the instants in the reader's zone. */

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const LINE_LENGTH = 300;
const SHOWN_ALERTS = 10;
/** Labels that name what an alert is about, the most specific first. */
const SUBJECT_LABELS = ["instance", "host", "hostname", "node", "pod", "service", "job"] as const;

type Labels = Readonly<Record<string, string>>;
type TitledRow = Pick<IncidentRow, "title" | "groupLabels" | "alerts" | "firing" | "resolvedBy" | "direct">;

export interface NoticeText {
  readonly reason: Exclude<NoticeReason, "some-resolved">;
  /** Those that fire, new ones first; of a resolved incident those that have ended. */
  readonly alerts: readonly AlertView[];
  /** The notification should have been sent at this time. */
  readonly lateSince: EpochMs | null;
  /** Of a resolved incident: the name of the user who resolved it. */
  readonly resolvedBy: string | null;
  /** What another person wants of the reader. */
  readonly asked?: string | undefined;
}

/** Whether the incident ended only because the sources of its alerts fell silent. */
export function isUnreported({ resolvedBy }: Pick<IncidentRow, "resolvedBy">): boolean {
  return resolvedBy === "timeout";
}

/**
 * Such as "disk_full (h1) is firing", "[3 alerts] disk_full", "Resolved: disk_full (h1)" and
 * "No longer reported: disk_full (h1)".
 */
export function noticeTitle(row: TitledRow, notice: NoticeText): string {
  return cutText(titleOf(row, notice), TITLE_LENGTH);
}

function titleOf(row: TitledRow, { reason, alerts }: NoticeText): string {
  const name = nameOf(row, alerts);
  if (reason === "resolved") return `${isUnreported(row) ? "No longer reported" : "Resolved"}: ${name}`;
  if (row.direct !== null) return row.title;
  if (ownAlertOf(alerts)) return name;
  return row.alerts === 1 ? `${name} is firing` : `[${alertCount(row.firing)}] ${row.title}`;
}

/** An alert of the server itself: it has its own words, and its labels say nothing more. */
function ownAlertOf(alerts: readonly AlertView[]): AlertView | undefined {
  return alerts.find(({ source }) => source === "prism");
}

/** The title, with what its only alert is about unless the group names it already. */
function nameOf({ title, groupLabels, alerts }: TitledRow, [alert]: readonly AlertView[]): string {
  const group = Object.keys(JSON.parse(groupLabels) as Labels).filter((name) => name !== "alertname");
  if (alerts !== 1 || group.length > 0 || alert === undefined) return title;
  const subject = SUBJECT_LABELS.map((name) => alert.label(name)).find((value) => value !== "" && value !== title);
  return subject === undefined ? title : `${title} (${subject})`;
}

function alertCount(n: number): string {
  return n === 1 ? "1 alert" : `${n} alerts`;
}

/** What and since when, what the alerts state, their labels, the number and how to acknowledge. */
export function noticeMessage(row: IncidentRow, notice: NoticeText, { isForChannel = false } = {}): string {
  const { reason, alerts, lateSince, asked = "" } = notice;
  const late = lateSince === null ? "" : `Late: this was due at ${toRfc3339(lateSince)}.`;
  const details = ownAlertOf(alerts) ? [] : alerts.length === 1 ? oneAlert(row, alerts) : manyAlerts(row, alerts);
  const hint = reason === "resolved" ? "" : " Acknowledge this notification if you take care of it.";
  // Channels have the number among their facts, and a link instead of the hint.
  const end = isForChannel ? "" : `Incident ${row.number}.${hint}`;
  const parts = [asked, firstLine(row, notice), ...details, late, end];
  return cutText(parts.filter((part) => part !== "").join("\n\n"), MESSAGE_LENGTH);
}

function firstLine(row: IncidentRow, { reason, alerts, resolvedBy }: NoticeText): string {
  const { openedAt, resolvedAt, firing } = row;
  const direct = directOf(row.direct);
  const own = ownAlertOf(alerts);
  if (own && row.resolvedBy === "alerts") return returnedLine(own);
  if (own && reason !== "resolved")
    return `${reason === "repeat" ? "Not acknowledged yet: " : ""}${own.annotations["description"] ?? row.title}`;
  const since = toRfc3339(alerts.reduce((first, { startsAt }) => Math.min(first, startsAt), openedAt));
  const what = row.alerts === 1 ? nameOf(row, alerts) : row.title;
  if (reason === "resolved" && isUnreported(row)) return unreportedLine(row, alerts, since);
  if (reason === "resolved") {
    const by = resolvedBy === null ? "" : ` by ${resolvedBy}`;
    const rest = firing === 0 ? "" : ` ${alertCount(firing)} ${firing === 1 ? "still fires" : "still fire"}.`;
    return `${what} was resolved${by} at ${toRfc3339(resolvedAt ?? openedAt)}, after it began at ${since}.${rest}`;
  }
  const state =
    direct !== null
      ? directText(direct, since)
      : row.alerts === 1
        ? `${what} has been firing since ${since}.`
        : `${alertCount(firing)} of ${what} ${firing === 1 ? "fires" : "fire"}, the first since ${since}.`;
  if (reason === "repeat") return `Not acknowledged yet: ${state}`;
  return reason === "new-alerts" ? `Further alerts: ${state}` : state;
}

function directText({ message, byName }: Direct, since: string): string {
  const opener = `${byName} opened this incident at ${since}.`;
  return message === "" ? opener : `${message}\n\n${opener}`;
}

function returnedLine({ labels, resolvedAt, lastAt }: AlertView): string {
  const at = toRfc3339(resolvedAt ?? lastAt);
  return `${labels["sender"]} reports alerts again since ${at}. Those that still fire are notified as new incidents.`;
}

/** A source that falls silent says nothing about what it reported. */
function unreportedLine(row: IncidentRow, alerts: readonly AlertView[], since: string): string {
  const what = row.alerts === 1 ? nameOf(row, alerts) : `Alerts of ${row.title}`;
  const [is, it, its] = row.alerts === 1 ? ["is", "it", "It"] : ["are", "them", "They"];
  const last = Math.max(...alerts.filter(({ timedOut }) => timedOut).map(({ lastAt }) => lastAt), row.openedAt);
  const silent = `${what} ${is} no longer reported: the source has not repeated ${it} since ${toRfc3339(last)}.`;
  return `${silent} ${its} began at ${since} and may still fire.`;
}

function oneAlert(row: IncidentRow, alerts: readonly AlertView[]): string[] {
  const [alert] = alerts;
  if (alert === undefined) return [];
  const { labels } = alert;
  const texts = statements(alert).join("\n");
  const isPast = alert.state === "resolved" && texts !== "";
  return [isPast ? `Last report: ${texts}` : texts, pairs(without(labels, groupOf(row)))];
}

/** A line for each alert with the labels that differ; labels that all have follow once. */
function manyAlerts(row: IncidentRow, alerts: readonly AlertView[]): string[] {
  if (alerts.length === 0) return [];
  const all = alerts.map(({ labels }) => labels);
  const common = commonOf(all);
  const lines = alerts.slice(0, SHOWN_ALERTS).map((alert) => alertLine(alert, common));
  const more = alerts.length > SHOWN_ALERTS ? [`- and ${alerts.length - SHOWN_ALERTS} more`] : [];
  return [[...lines, ...more].join("\n"), pairs(without(common, groupOf(row)))];
}

function alertLine(alert: AlertView, common: Labels): string {
  const [text] = statements(alert);
  const differing = pairs(without(alert.labels, common));
  if (alert.state === "resolved") return endedLine(alert, differing || alert.label("alertname") || alert.key, text);
  const what = text === undefined ? differing : differing === "" ? text : `${text} (${differing})`;
  return `- ${cutText(oneLine(`${what || alert.key}, since ${toRfc3339(alert.startsAt)}`), LINE_LENGTH)}`;
}

/** What it stated while it fired is no longer so: it comes last, as a report. */
function endedLine({ timedOut, lastAt, resolvedAt }: AlertView, name: string, text: string | undefined): string {
  const end = timedOut ? `not reported since ${toRfc3339(lastAt)}` : `resolved at ${toRfc3339(resolvedAt ?? lastAt)}`;
  const report = text === undefined ? "" : `; last report: ${text}`;
  return `- ${cutText(oneLine(`${name}, ${end}${report}`), LINE_LENGTH)}`;
}

/** Annotations for people. */
function statements({ annotations }: AlertView): string[] {
  const texts = [annotations["summary"], annotations["description"] ?? annotations["message"]];
  return [...new Set(texts.filter((text) => text !== undefined && text !== ""))] as string[];
}

function groupOf({ groupLabels }: TitledRow): Labels {
  return JSON.parse(groupLabels) as Labels;
}

function commonOf([first = {}, ...others]: readonly Labels[]): Labels {
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
  );
}

function without(labels: Labels, known: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name, value]) => known[name] !== value));
}

function pairs(labels: Labels): string {
  return cutText(
    oneLine(
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(", "),
    ),
    LINE_LENGTH,
  );
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
