import { pageWarning } from "../../../core/runtime.ts";
import { cleanText, countText } from "../../../core/text/clean-text.ts";
import { type EpochMs, spanText, toRfc3339 } from "../../../core/time/clock.ts";
import { ACKNOWLEDGE_HINT } from "../../delivery/index.ts";
import { cutText } from "../../rules/index.ts";
import type { AlertView } from "../types.ts";
import type { Raised } from "./changes/told.ts";
import { ENDED_BY_PEOPLE } from "./facts.ts";
import {
  type AlertSeverity,
  directOf,
  highestSeverity,
  type IncidentRow,
  isHigher,
  namedSeverity,
  SEVERITIES,
  severityOf,
} from "./incident.ts";
import type { NoticeReason } from "./machine.ts";

/*
 * Texts of notifications of incidents. A lock screen shows the title and about 80 characters: the
 * title says how bad, what and where, and the message begins with the reason. Mails and the console
 * show the instants in the reader's zone.
 */

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const LINE_LENGTH = 300;
const LINK_LENGTH = 1000;
const SHOWN_ALERTS = 10;
/** Labels that name what an alert is about, the most specific first. */
const SUBJECT_LABELS = [
  ...["heartbeat", "monitor", "instance", "host", "hostname", "node", "pod", "service", "job"],
] as const;

type Labels = Readonly<Record<string, string>>;
type TitledRow = Pick<IncidentRow, "title" | "groupLabels" | "alerts" | "firing" | "urgency" | "resolvedBy" | "direct">;

export interface NoticeWording {
  readonly reason: Exclude<NoticeReason, "some-resolved">;
  /** Firing alerts, new ones first; for a resolved incident its ended alerts. */
  readonly alerts: readonly AlertView[];
  /** The notification should have been sent at this time. */
  readonly lateSince: EpochMs | null;
  /** For a resolved incident: the name of the user who resolved it. */
  readonly resolvedBy: string | null;
  /** What got worse since the last notice. */
  readonly raised?: Raised | null;
  /** If alerts have moved: the number of the incident that has them. */
  readonly movedTo?: number | null;
  /** The request of another person to the reader. */
  readonly asked?: string | undefined;
}

/** Whether the incident ended only because the sources of its alerts fell silent. */
export function isUnreported({ resolvedBy }: Pick<IncidentRow, "resolvedBy">): boolean {
  return resolvedBy === "timeout";
}

/** The severity that readers knew, if it has risen. */
export function severityBefore(
  urgency: IncidentRow["urgency"],
  { raised, alerts }: NoticeWording,
): AlertSeverity | null {
  const from = raised?.from ?? null;
  return from !== null && isHigher(severityOf(urgency, alerts), from) ? from : null;
}

/**
 * Such as "Critical: disk_full (h1)", "Critical (was warning): disk_full (h1)", "Warning: disk_full, 3 alerts",
 * "Firing: disk_full (h1)" if no alert names a severity, "Resolved: disk_full (h1)", "Moved to #45: disk_full (h1)", "No longer reported: disk_full (h1)" and, in channels, "Acknowledged by ann: disk_full (h1)".
 * @param acknowledged undefined: its readers see that it fires
 */
export function noticeTitle(
  row: TitledRow,
  notice: NoticeWording,
  acknowledged?: { readonly by: string | null },
): string {
  // Labels are stored as senders write them.
  return cutText(cleanText(`${titlePrefix(row, notice, acknowledged)}${nameOf(row, notice)}`), TITLE_LENGTH);
}

function titlePrefix(row: TitledRow, notice: NoticeWording, acknowledged?: { by: string | null }): string {
  const { reason, alerts } = notice;
  if (reason === "resolved" && row.resolvedBy === "moved") return `${movedText(row, notice)}: `;
  if (acknowledged) return acknowledged.by === null ? "Acknowledged: " : `Acknowledged by ${acknowledged.by}: `;
  if (reason === "resolved") return isUnreported(row) ? "No longer reported: " : "Resolved: ";
  // Texts by a person or by the server itself are used as they are.
  if (row.direct !== null || ownAlertOf(alerts)) return "";
  const before = severityBefore(row.urgency, notice);
  // The urgency of a policy is no statement about the problem.
  if (before === null && highestSeverity(alerts.map(namedSeverity)) === null) return "Firing: ";
  const severity = severityOf(row.urgency, alerts);
  const was = before === null ? "" : ` (was ${before})`;
  return `${severity.slice(0, 1).toUpperCase()}${severity.slice(1)}${was}: `;
}

/** Such as "Moved to #45, now critical". */
function movedText({ urgency }: TitledRow, notice: NoticeWording): string {
  const { movedTo = null, alerts } = notice;
  const now = severityBefore(urgency, notice) === null ? "" : `, now ${severityOf(urgency, alerts)}`;
  return `${movedTo === null ? "Moved" : `Moved to #${movedTo}`}${now}`;
}

/** An alert of the server itself: it has its own words, and its labels say nothing more. */
function ownAlertOf(alerts: readonly AlertView[]): AlertView | undefined {
  return alerts.find(({ source }) => source === "prism");
}

/** The title, with what its only alert is about unless the group names it already, or how many fire. */
function nameOf(row: TitledRow, { alerts, reason }: NoticeWording): string {
  const { title, firing } = row;
  const isOne = row.alerts === 1 || (reason !== "resolved" && firing === 1 && alerts.length === 1);
  if (!isOne) return reason !== "resolved" && firing > 1 ? `${title}, ${firing} alerts` : title;
  const group = Object.keys(groupOf(row)).filter((name) => name !== "alertname");
  const [alert] = alerts;
  if (group.length > 0 || alert === undefined || alert.source === "prism") return title;
  const subject = SUBJECT_LABELS.map((name) => alert.label(name)).find((value) => !title.includes(value));
  return subject === undefined ? title : `${title} (${subject})`;
}

/** Why, where, since when, the number and how to acknowledge, and where to read on. */
export function noticeMessage(row: IncidentRow, notice: NoticeWording, { isForChannel = false } = {}): string {
  const { reason, lateSince, asked = "" } = notice;
  const late = lateSince === null ? "" : `This is late: it was due at ${toRfc3339(lateSince)}.`;
  const hint = reason === "resolved" ? "" : ` ${ACKNOWLEDGE_HINT}`;
  // Channels have the number among their facts, and a link instead of the hint.
  const end = isForChannel ? "" : `Incident ${row.number}.${hint}`;
  const content = reason === "resolved" ? endContent(row, notice) : firingContent(row, notice);
  const parts = [pageWarning(), asked, ...content, late, end];
  const more = reason === "resolved" ? "" : furtherLines(notice.alerts, parts.join("\n"));
  return cutText(cleanText([...parts, more].filter((part) => part !== "").join("\n\n")), MESSAGE_LENGTH);
}

/** Common parts of all alerts: their runbook, their origin, and the key at their receiver. */
function furtherLines([first, ...others]: readonly AlertView[], text: string): string {
  if (!first || first.source === "prism") return "";
  return FURTHER.flatMap(([name, read]) => {
    const value = read(first);
    const isCommon = value !== "" && others.every((alert) => read(alert) === value);
    return isCommon && !text.includes(value) ? [`${name}: ${cutText(value, LINK_LENGTH)}`] : [];
  }).join("\n");
}

const FURTHER: readonly (readonly [string, (alert: AlertView) => string])[] = [
  ["Runbook", ({ annotations }) => urlIn(annotations["runbook_url"] ?? annotations["runbook"])],
  ["Source", ({ generatorUrl }) => urlIn(generatorUrl)],
  // As the sender gave it, after what receivers put in front.
  ["Key", ({ source, key }) => (source === "receiver" ? key.replace(/^rc:[^:]*:/, "") : "")],
];

function urlIn(text: string | null | undefined): string {
  return text && /^https?:\/\/\S+$/i.test(text) ? text : "";
}

const BECAUSE = {
  step: "",
  "severity-raised": "",
  repeat: "Not acknowledged yet. ",
  "new-alerts": "Further alerts have joined. ",
  resolved: "",
};

/** First the alerts' own words, then the place, then the time. */
function firingContent(row: IncidentRow, notice: NoticeWording): string[] {
  const { reason, alerts, raised = null } = notice;
  const because = raised === null ? BECAUSE[reason] : worseText(row, notice, raised);
  const own = ownAlertOf(alerts);
  if (own) return [own.annotations["description"] ?? row.title, because.trim()];
  const since = beginOf(row, alerts);
  const direct = directOf(row.direct);
  if (direct) return [direct.message, `${because}${direct.byName} opened this incident at ${since}.`];
  const [only] = alerts;
  if (only && alerts.length === 1)
    return [statements(row, only).join("\n"), labelsOf(row, only), `${because}Firing since ${since}.`];
  const many = `${because}${countText(row.firing, "alert fires", "alerts fire")}, the first since ${since}.`;
  return [...manyAlerts(row, alerts, raised), many];
}

/** What people have to know of an alert that got worse. */
function worseText({ state }: IncidentRow, { alerts, movedTo = null }: NoticeWording, raised: Raised): string {
  const { alerts: before, left } = raised;
  const [was] = before.values();
  const worse = alerts.length === 1 && was ? `It was ${was}` : `${countText(before.size, "alert")} got worse`;
  const where = movedTo === null ? "to a route that notifies no one" : `to incident ${movedTo}`;
  const moved = left.size === 0 ? "" : `; ${left.size === before.size ? "" : `${left.size} of them `}moved ${where}`;
  return `${worse}${moved}.${state === "acknowledged" ? " The incident is acknowledged." : ""} `;
}

/** How it ended comes first. What a resolved alert stated is no longer so, and is left out. */
function endContent(row: IncidentRow, notice: NoticeWording): string[] {
  const { alerts, resolvedBy } = notice;
  if (row.resolvedBy === "moved") return [movedLine(row, notice)];
  const own = ownAlertOf(alerts);
  if (own && row.resolvedBy === "alerts") return [returnedLine(own)];
  const end = isUnreported(row) ? unreportedLine(row, alerts) : resolvedLine(row, alerts, resolvedBy);
  const [only] = alerts;
  if (own || !only) return [end];
  if (alerts.length > 1) return [end, ...manyAlerts(row, alerts)];
  const text = isOver(only) && !only.timedOut ? "" : statements(row, only).join("\n");
  const lead = only.timedOut ? "Last report" : "Still firing";
  return [end, text === "" ? "" : `${lead}: ${text}`, labelsOf(row, only)];
}

/** Its alerts fire all the same. */
function movedLine(row: IncidentRow, notice: NoticeWording): string {
  const at = `since ${toRfc3339(row.resolvedAt ?? row.openedAt)}`;
  const before = severityBefore(row.urgency, notice);
  const was = before === null ? "" : ` Their severity was ${before}.`;
  const where = notice.movedTo ? `and fire in incident ${notice.movedTo}` : "and notify no one there";
  return `${movedText(row, notice)}: its alerts have another route ${at}, ${where}.${was}`;
}

function resolvedLine(row: IncidentRow, alerts: readonly AlertView[], by: string | null): string {
  const { openedAt, resolvedAt } = row;
  const at = resolvedAt ?? openedAt;
  const span = spanText(at - Date.parse(beginOf(row, alerts)));
  const who = by === null ? (ENDED_BY[row.resolvedBy ?? ""] ?? "Resolved") : `Resolved by ${by}`;
  const firing = stillFiring(row, alerts);
  const rest =
    firing === 0
      ? ""
      : firing === 1
        ? " 1 alert still fires, and notifies no one until it ends and fires again."
        : ` ${firing} alerts still fire, and notify no one until they end and fire again.`;
  return `${who} at ${toRfc3339(at)}, after ${span}.${rest}`;
}

/** How many alerts outlive an incident that a person, a step or a time has resolved. Not all alerts are given. */
function stillFiring({ firing }: IncidentRow, alerts: readonly AlertView[]): number {
  const left = alerts.filter((alert) => !isOver(alert)).length;
  return alerts.some(({ state, source }) => state !== "resolved" && ENDED_BY_PEOPLE.has(source)) ? left : firing;
}

/** For a resolved incident: the alert ended before it, or ends with it. */
function isOver({ state, source }: AlertView): boolean {
  return state === "resolved" || ENDED_BY_PEOPLE.has(source);
}

const ENDED_BY: Readonly<Record<string, string>> = {
  auto: "Resolved automatically",
  policy: "Resolved by a step of its policy",
};

function returnedLine({ labels, resolvedAt, lastAt }: AlertView): string {
  const at = toRfc3339(resolvedAt ?? lastAt);
  return `${labels["sender"]} reports alerts again since ${at}. Alerts that still fire are notified as new incidents.`;
}

/** A source that falls silent says nothing about what it reported. */
function unreportedLine(row: IncidentRow, alerts: readonly AlertView[]): string {
  const [these, they] = row.alerts === 1 ? ["this alert", "It"] : ["these alerts", "They"];
  const last = Math.max(...alerts.filter(({ timedOut }) => timedOut).map(({ lastAt }) => lastAt), row.openedAt);
  const silent = `The source has not repeated ${these} since ${toRfc3339(last)}.`;
  return `${silent} ${they} began at ${beginOf(row, alerts)} and may still fire.`;
}

/** When its first alert started, RFC 3339. */
function beginOf({ openedAt }: IncidentRow, alerts: readonly AlertView[]): string {
  return toRfc3339(alerts.reduce((first, { startsAt }) => Math.min(first, startsAt), openedAt));
}

/** A line for each alert with the labels that differ; labels that all have follow once. */
function manyAlerts(row: IncidentRow, alerts: readonly AlertView[], raised: Raised | null = null): string[] {
  if (alerts.length === 0) return [];
  const common = commonOf(alerts.map(({ labels }) => labels));
  const lines = alerts.slice(0, SHOWN_ALERTS).map((alert) => alertLine(row, alert, common, raised));
  const more = alerts.length > SHOWN_ALERTS ? [`- and ${alerts.length - SHOWN_ALERTS} more`] : [];
  return [[...lines, ...more].join("\n"), pairs(withoutKnown(row, common))];
}

function alertLine(row: IncidentRow, alert: AlertView, common: Labels, raised: Raised | null): string {
  const [text] = statements(row, alert);
  const differing = pairs(without(without(alert.labels, common), { alertname: row.title }));
  const name = differing || alert.label("alertname") || alert.key;
  if (alert.state === "resolved") return listed(endedText(alert, name, text));
  if (row.state === "resolved" && isOver(alert)) return listed(`${name}, resolved with the incident`);
  const what = text === undefined ? name : differing === "" ? text : `${text} (${differing})`;
  const state = row.state === "resolved" ? "still firing, " : "";
  const was = raised?.alerts.get(alert.id);
  return listed(`${what}, ${state}since ${toRfc3339(alert.startsAt)}${was === undefined ? "" : `, was ${was}`}`);
}

/** The statement of a resolved alert is no longer true; that of an unreported one may be. */
function endedText({ timedOut, lastAt, resolvedAt }: AlertView, name: string, text: string | undefined): string {
  if (!timedOut) return `${name}, resolved at ${toRfc3339(resolvedAt ?? lastAt)}`;
  const report = text === undefined ? "" : `; last report: ${text}`;
  return `${name}, not reported since ${toRfc3339(lastAt)}${report}`;
}

function listed(text: string): string {
  return `- ${cutText(oneLine(text), LINE_LENGTH)}`;
}

/** Annotations for people that say more than the title. */
function statements({ title }: TitledRow, { annotations }: AlertView): string[] {
  const texts = [annotations["summary"], annotations["description"] ?? annotations["message"]];
  return [...new Set(texts)].flatMap((text) => (text === undefined || text === "" || text === title ? [] : [text]));
}

function labelsOf(row: TitledRow, { labels }: AlertView): string {
  return pairs(withoutKnown(row, labels));
}

/** Labels that the title does not say: it has the group, the name and the severity. */
function withoutKnown(row: TitledRow, { severity, ...others }: Labels): Labels {
  const shown = severity === undefined || isKnownSeverity(severity) ? others : { ...others, severity };
  return without(shown, { alertname: row.title, ...groupOf(row) });
}

function isKnownSeverity(word: string): boolean {
  return SEVERITIES.some((each) => each === word.toLowerCase());
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
