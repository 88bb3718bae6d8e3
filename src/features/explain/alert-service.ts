import type { PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { countText } from "../../core/text/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import { missingPermission } from "../../http/server/access.ts";
import { userNames } from "../access/index.ts";
import {
  type AlertView,
  forecastOf,
  type IncidentRow,
  incidentsOfAlert,
  mayReadIncident,
  type Trial,
  trialAlert,
  tryAlert,
} from "../alerts/index.ts";
import {
  type AlertExplainContext,
  areMirrored,
  forecastParts,
  listText,
  type NameLookup,
  NOTIFIED,
  namesOf,
  nextLines,
  readerPart,
  sentenceOf,
  textOf,
} from "./alert-next.ts";
import * as queries from "./alert-queries.ts";
import type {
  AlertExplanation,
  AlertTrial,
  IncidentStory,
  Line,
  PersonView,
  TrialBody,
  TrialRoute,
  UnreachableView,
} from "./alert-schema.ts";
import { type LogRow, MIRRORED, throughOf, withheldBy } from "./alert-sentences.ts";
import { alertStories, type IncidentHistory, pathOf, policyOf, routeText } from "./alert-stories.ts";
import { deliveryText, unreachableOf } from "./user-reasons.ts";

/* Why people were notified of alerts and incidents, or not, and what would happen. Nothing is stored. */

/** An incident may have thousands of alerts: the answer has the newest ones, and counts. */
const SHOWN_ALERTS = 10;
const SHOWN_INCIDENTS = 20;
const SHOWN_LINES = 100;
const SHOWN_PEOPLE = 50;

/** @param userRef whose part `user` is @throws INCIDENT_NOT_FOUND, USER_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function explainIncident(
  context: AlertExplainContext,
  principal: PermissionHolder,
  id: string,
  userRef?: string,
): Promise<AlertExplanation> {
  const { scan } = context.db;
  const row = isUuid(id) ? await queries.findIncident(scan, id) : undefined;
  if (!row || !(await mayReadIncident(context.projects, scan, principal, row)))
    throw new PrismError("INCIDENT_NOT_FOUND", "No such incident");
  const members = await queries.membersOf(scan, id, SHOWN_ALERTS);
  const alerts = await context.alerting.alerts.read(members.map(({ alertId }) => alertId));
  const of = { row, timeline: await queries.timelineOf(scan, id) };
  const userId = userRef === undefined ? null : namedUser(context, principal, userRef);
  const story = await incidentStory(context, principal, of, userId);
  const stories = await alertStories(context, alerts, [of]);
  const alertsLeftOut = Math.max(0, row.alerts - stories.length);
  return {
    subject: { kind: "incident", id },
    answer: story.answer,
    alerts: stories,
    alertsLeftOut,
    incidents: [story],
  };
}

/** Others than the caller need the permission that shows the recipients of notifications. */
function namedUser({ users }: AlertExplainContext, principal: PermissionHolder, ref: string): string {
  const userId = users.findAny(ref);
  const isOwn = userId !== undefined && userId === principal.userId;
  if (!isOwn && !principal.permissions.has("notifications:read_all"))
    throw missingPermission("notifications:read_all", "without it you can ask about yourself only");
  if (userId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  return userId;
}

/** @throws ALERT_NOT_FOUND */
export async function explainAlert(
  context: AlertExplainContext,
  principal: PermissionHolder,
  id: string,
): Promise<AlertExplanation> {
  const { scan } = context.db;
  const [alert] = isUuid(id) ? await context.alerting.alerts.read([id]) : [];
  if (!alert || !context.projects.has(principal, alert.projectId, "events:read"))
    throw new PrismError("ALERT_NOT_FOUND", "No such alert");
  const known: IncidentHistory[] = [];
  const incidents: IncidentStory[] = [];
  // One after the other: reads of one caller wait for each other anyway, and only a few may wait.
  for (const row of await incidentsOfAlert(scan, id, SHOWN_INCIDENTS)) {
    const of = { row, timeline: await queries.timelineOf(scan, row.id) };
    known.push(of);
    incidents.push(await incidentStory(context, principal, of));
  }
  const [story] = await alertStories(context, [alert], known);
  if (story && known.length === 0) story.lines.push(...listedLines(context, alert));
  const last = story?.lines.at(-1);
  const answer =
    alert.state === "pending"
      ? "The alert is pending: its condition has not held for long enough, so no one was notified."
      : (incidents.map(({ number, answer }) => `Incident ${number}: ${answer}`)[0] ?? last?.text ?? "");
  return { subject: { kind: "alert", id }, answer, alerts: story ? [story] : [], alertsLeftOut: 0, incidents };
}

/** The policies of a firing alert that open no incidents. */
function listedLines({ alerting: { policies } }: AlertExplainContext, alert: AlertView): Line[] {
  if (alert.state !== "firing") return [];
  return policies
    .routingOf(alert.projectId)
    .match(alert.labels)
    .flatMap(({ settings }) => {
      const policy = policies.named(alert.projectId, settings.policy);
      if (policies.definitionOf(policy).opensIncidents) return [];
      const text = `The policy ${policy.name} opens no incidents: the alert is listed, and no one is notified.`;
      return [{ at: toRfc3339(alert.startsAt), kind: "route", text }];
    });
}

/** The cause of a notification of an incident. @param userId the only user to explain it for; null: all */
export async function notificationCause(
  context: AlertExplainContext,
  incidentId: string,
  { notificationId, userId }: { readonly notificationId: string | null; readonly userId: string | null },
) {
  const { scan } = context.db;
  const row = await queries.findIncident(scan, incidentId);
  if (!row) return null;
  const entry = notificationId === null ? undefined : await queries.entryOf(scan, incidentId, notificationId);
  const members = await queries.membersOf(scan, incidentId, SHOWN_ALERTS);
  const known = members.filter(({ addedAt }) => entry === undefined || addedAt <= entry.at);
  const alerts = await context.alerting.alerts.read(known.map(({ alertId }) => alertId).slice(0, 3));
  const stories = await alertStories(context, alerts, []);
  const acks = await queries.acksOf(scan, incidentId);
  const own = entry && (userId === null ? entry : ofUser(entry, userId));
  const acked: LogRow[] = acks.map((each) => ({ at: each.at, kind: "acknowledged", actor: each.userId, data: {} }));
  const names = await namesOf(context, row.projectId, own ? [own, ...acked] : acked);
  const opening = { at: toRfc3339(row.openedAt), kind: "opened" };
  const lines: Line[] = [
    ...stories.flatMap(({ lines: [first] }) => (first ? [first] : [])),
    { ...opening, kind: "route", text: routeText(row, policyOf(context, row)) },
    {
      ...opening,
      text: `It was opened as incident ${row.number}${row.alerts > 1 ? `, which has ${row.alerts} alerts now` : ""}.`,
    },
  ];
  if (own) lines.push({ at: toRfc3339(own.at), kind: own.kind, text: sentenceOf(own, names) });
  const acknowledgements = acks.map((each) => ({
    userId: each.userId,
    name: names.user(each.userId),
    at: toRfc3339(each.at),
  }));
  for (const { name, at } of acknowledgements)
    lines.push({ at, kind: "acknowledged", text: `${name} acknowledged the incident.` });
  const { id, number, title, projectId, state } = row;
  return { incidentId: id, number, title, projectId, state, acknowledgements, lines };
}

/** Without the other users of the row. */
function ofUser(row: LogRow, userId: string): LogRow {
  const delayed = row.data.delayed?.[userId];
  const data = { ...row.data, users: [userId], count: 1, delayed: delayed === undefined ? {} : { [userId]: delayed } };
  return { ...row, data };
}

/** Dry run of an alert with these labels. @throws PROJECT_NOT_FOUND, VALIDATION_FAILED */
export async function explainLabels(
  context: AlertExplainContext,
  principal: PermissionHolder,
  { projectId: ref, labels, at, firing = [] }: TrialBody,
): Promise<AlertTrial> {
  const { projects, alerting } = context;
  const { clock, alerts } = alerting;
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const asked = at === undefined ? undefined : clock.fromWall(at);
  const now = asked ?? clock.now();
  const trial = trialAlert(projectId, labels, now);
  const { fingerprint } = trial;
  const [live] = asked === undefined ? alerts.list(projectId, (each) => each.fingerprint === fingerprint) : [];
  const supposed = firing.map((each) => trialAlert(projectId, each, now));
  const trials = await tryAlert(forecastParts(context, supposed), live ?? trial, asked);
  const routes: AlertTrial["routes"] = [];
  for (const each of trials) routes.push(await trialRoute(context, principal, each, { projectId, now, supposed }));
  const answer = trialAnswer(routes, live);
  return { projectId, at: toRfc3339(now), fingerprint, alertId: live?.id ?? null, answer, routes };
}

interface TrialPlace {
  readonly projectId: string;
  readonly now: EpochMs;
  readonly supposed: readonly AlertView[];
}

const REASON_OF = { silencedBy: "silenced", inhibitedBy: "inhibited", mutedBy: "muted" } as const;

async function trialRoute(
  context: AlertExplainContext,
  principal: PermissionHolder,
  { match, policy, isListedOnly, incident, withheld, actions }: Trial,
  { projectId, now, supposed }: TrialPlace,
): Promise<TrialRoute> {
  const data = { silences: withheld.silencedBy, inhibitedBy: withheld.inhibitedBy };
  const names = await namesOf(context, projectId, [{ at: 0, kind: "withheld", actor: null, data }], supposed);
  const lines = await nextLines(context, principal, projectId, actions, now);
  const none = { silencedBy: [], inhibitedBy: [], mutedBy: [] };
  const reasons = (["silencedBy", "inhibitedBy", "mutedBy"] as const).flatMap((by) =>
    withheldBy({ ...none, [by]: withheld[by] }).map((part) => ({ reason: REASON_OF[by], part })),
  );
  return {
    route: [...match.settings.path],
    policy: { id: policy.id, name: policy.name, version: policy.version },
    groupKey: match.groupKey,
    isListedOnly,
    incident: incident && {
      id: incident.id,
      number: incident.number,
      state: incident.state === "acknowledged" ? ("acknowledged" as const) : ("open" as const),
      snoozedUntil: incident.snoozedUntil === null ? null : toRfc3339(incident.snoozedUntil),
    },
    withheld: reasons.map(({ reason, part }) => ({
      ...{ at: null, kind: "withheld", reason },
      text: `It is ${textOf(part, names)}.`,
    })),
    next: lines,
  };
}

function trialAnswer(routes: AlertTrial["routes"], live: AlertView | undefined): string {
  const [route] = routes;
  if (!route) return "No route takes the alert.";
  const { isListedOnly, incident, withheld, next, policy } = route;
  const others = routes.length === 1 ? "" : ` ${countText(routes.length - 1, "further route")} would match it, too.`;
  if (isListedOnly) return `The policy ${policy.name} opens no incidents: the alert would only be listed.${others}`;
  const where = incident ? `join incident ${incident.number}` : "open an incident";
  const first = next.find(({ kind }) => kind === "notified");
  const what =
    withheld.length > 0
      ? `No one would be notified: ${lower(withheld[0]?.text ?? "")}`
      : (pausedText(route, first) ??
        first?.text ??
        next[0]?.text ??
        "No one would be notified: the policy has no step that notifies.");
  const head = live ? "An alert with these labels fires already; it" : "The alert";
  return `${head} would ${where} of the policy ${policy.name}. ${what}${others}`;
}

const NOTIFIES: ReadonlySet<string> = new Set(["notified", "new-alerts", "severity-raised", "webhook", "channel"]);

/** Whom the alert notifies although its incident is snoozed or acknowledged; undefined: it is neither. */
function pausedText({ incident, next }: AlertTrial["routes"][number], step: Line | undefined): string | undefined {
  const snoozedUntil = incident?.snoozedUntil ?? null;
  const isSnoozed = snoozedUntil !== null;
  if (!isSnoozed && incident?.state !== "acknowledged") return undefined;
  const end = next.find(({ kind }) => kind === (isSnoozed ? "snooze-ended" : "ack-expired"));
  const until = snoozedUntil ?? end?.at;
  const state = `It is ${isSnoozed ? "snoozed" : "acknowledged"}${until ? ` until ${until}` : ""}`;
  const soon = end ? next.slice(0, next.indexOf(end)) : next;
  if (soon.some(({ kind }) => kind === "steps-restarted"))
    return `${state}, which this alert ends: it is more urgent than those before. ${step?.text ?? ""}`.trimEnd();
  const told = soon.find(({ kind }) => NOTIFIES.has(kind));
  if (told) return `${state}. ${told.text}${isSnoozed ? "" : " Those who acknowledged it are not."}`;
  return `${state}: no one would be notified ${until ? "before" : "meanwhile"}, unless its urgency rises, which ends that.`;
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

async function incidentStory(
  context: AlertExplainContext,
  principal: PermissionHolder,
  { row, timeline }: IncidentHistory,
  userId: string | null = null,
): Promise<IncidentStory> {
  const names = await namesOf(context, row.projectId, timeline);
  const policy = policyOf(context, row);
  const lines = folded(timeline).map((each) => ({
    at: toRfc3339(each.at),
    kind: each.kind,
    text: sentenceOf(each, names),
  }));
  lines.splice(1, 0, { at: toRfc3339(row.openedAt), kind: "route", text: routeText(row, policy) });
  const people = await peopleOf(context, principal, row, timeline, names);
  const next =
    row.state === "resolved"
      ? []
      : await nextLines(
          context,
          principal,
          row.projectId,
          await forecastOf(forecastParts(context), row),
          context.alerting.clock.now(),
        );
  return {
    id: row.id,
    number: row.number,
    projectId: row.projectId,
    title: row.title,
    state: row.state,
    isSnoozed: row.snoozedUntil !== null,
    policy,
    route: pathOf(row),
    groupKey: row.groupKey,
    alerts: row.alerts,
    firing: row.firing,
    answer: incidentAnswer(row, timeline, people, lines, next),
    lines: lines.length <= SHOWN_LINES ? lines : [...lines.slice(0, 2), ...lines.slice(2 - SHOWN_LINES)],
    linesLeftOut: Math.max(0, lines.length - SHOWN_LINES),
    people,
    you: await readerPart(context, principal.userId, row, timeline, people),
    user: userId === null ? null : await userPart(context, userId, row, timeline, people),
    next,
  };
}

async function userPart(
  context: AlertExplainContext,
  id: string,
  row: IncidentRow,
  timeline: IncidentHistory["timeline"],
  people: readonly PersonView[],
): Promise<IncidentStory["user"]> {
  const name = (await userNames(context.db.scan, [id])).get(id);
  const called = name?.name || name?.username || id;
  const part = await readerPart(context, id, row, timeline, people, called);
  return part && { id, name: called, ...part };
}

/** Alerts that join or end one after the other are one row of each kind: in a storm there are thousands. */
function folded(timeline: readonly LogRow[]): LogRow[] {
  const rows: LogRow[] = [];
  for (const row of timeline) {
    const run = rows.findLastIndex(({ kind }) => !COUNTING.has(kind)) + 1;
    const at = COUNTING.has(row.kind) ? rows.findIndex(({ kind }, i) => i >= run && kind === row.kind) : -1;
    const same = rows[at];
    if (same) rows[at] = { ...row, data: summed(same.data, row.data) };
    else rows.push(row);
  }
  return rows;
}

const COUNTING: ReadonlySet<string> = new Set(["alerts-joined", "alerts-resolved"]);

function summed(earlier: LogRow["data"], later: LogRow["data"]): LogRow["data"] {
  const sum = (name: "added" | "ended" | "timedOut") => (earlier[name] ?? 0) + (later[name] ?? 0);
  return { ...later, added: sum("added"), ended: sum("ended"), timedOut: sum("timedOut") };
}

/** The reasons that keep people from being notified, worst last. */
const REASONS: ReadonlySet<string> = new Set(["withheld", "no-targets", "not-notified", "outside-interval"]);

function incidentAnswer(
  row: IncidentRow,
  timeline: readonly LogRow[],
  people: readonly PersonView[],
  lines: readonly Line[],
  next: readonly Line[],
): string {
  const last = lines.findLast(({ kind }) => REASONS.has(kind));
  const state = stateText(row, lines, next);
  if (people.length > 0) {
    const open = row.state === "open" && last && timeline.at(-1)?.kind === last.kind ? ` Since then: ${last.text}` : "";
    const names = listText(people.map(({ name }) => name));
    const told = areMirrored(timeline)
      ? `${countText(people.length, "person", "people")} would have been notified: ${names}. ${MIRRORED}`
      : `${countText(people.length, "person was", "people were")} notified: ${names}.`;
    return `${told} ${state}${open}`;
  }
  if (last?.kind === "withheld") return `No one was notified ${last.text.replace(/^Not notified /, "")} ${state}`;
  if (last) return `No one was notified. ${last.text} ${state}`;
  if (row.state === "resolved") return `No one was notified: it ended before the first notification was due. ${state}`;
  return `No one was notified yet. ${state}`;
}

function stateText(row: IncidentRow, lines: readonly Line[], next: readonly Line[]): string {
  if (row.state === "resolved") return lines.findLast(({ kind }) => kind === "resolved")?.text ?? "It is resolved.";
  if (row.snoozedUntil !== null) return `It is snoozed until ${toRfc3339(row.snoozedUntil)}.`;
  if (row.state === "acknowledged") return lines.findLast(({ kind }) => kind === "acknowledged")?.text ?? "";
  const [then] = next;
  return then?.at ? `It is open; next, at ${then.at}: ${then.text}` : "It is open; nothing follows.";
}

/** Reasons of notices to users named by a person. */
const ASKED_FOR: Readonly<Record<string, string>> = {
  page: "A person paged them",
  reassign: "A person assigned the incident to them",
  responder: "A person asked them for help",
};

/** Who was notified, why, and what kept their channels from reaching them. */
async function peopleOf(
  { db: { scan } }: AlertExplainContext,
  principal: PermissionHolder,
  { id }: IncidentRow,
  timeline: readonly LogRow[],
  names: NameLookup,
): Promise<PersonView[]> {
  const reasons = new Map<string, Set<string>>();
  for (const { kind, data } of timeline) {
    if (!NOTIFIED.has(kind)) continue;
    for (const user of data.users ?? []) {
      const own = reasons.get(user) ?? new Set<string>();
      reasons.set(user, own);
      const source = data.through?.[user];
      const asked = ASKED_FOR[data.reason ?? ""];
      if (kind === "fallback") own.add(`The steps reached no one: fallback to ${data.level}`);
      else if (asked) own.add(asked);
      else if (source !== undefined)
        own.add(`Step ${(data.step ?? 0) + 1}: ${textOf(throughOf(source, data.shifts), names)}`);
      for (const ms of data.delayed?.[user] ?? []) own.add(`A contact rule delays a notification by ${ms / 1000} s`);
    }
  }
  const users = [...reasons.keys()].slice(0, SHOWN_PEOPLE);
  const seesAll = principal.permissions.has("notifications:read_all");
  const readable = seesAll ? users : users.filter((user) => user === principal.userId);
  const unreachable = new Map<string, UnreachableView>();
  if (readable.length > 0) {
    const deliveries = await queries.deliveriesOf(scan, id, readable);
    const notices = await queries.noticesTo(scan, id, readable);
    const found = await unreachableOf(scan, readable);
    for (const user of readable) {
      const own = deliveries.filter(({ userId }) => userId === user);
      const received = notices.filter(({ userId }) => userId === user);
      for (const text of reachText(own, received)) reasons.get(user)?.add(text);
      const isReached =
        own.some(({ state }) => state === "delivered") ||
        received.some(({ delivered, readAt }) => delivered === 1 || readAt !== null);
      const none = isReached ? undefined : found.get(user);
      if (!none) continue;
      unreachable.set(user, none);
      reasons.get(user)?.add(none.text);
    }
  }
  return users.map((userId) => ({
    userId,
    name: names.user(userId),
    reasons: [...(reasons.get(userId) ?? [])],
    unreachable: unreachable.get(userId) ?? null,
  }));
}

type Deliveries = Awaited<ReturnType<typeof queries.deliveriesOf>>;
type Notices = Awaited<ReturnType<typeof queries.noticesTo>>;

function reachText(deliveries: Deliveries, notices: Notices): string[] {
  const lines = deliveries.map(deliveryText);
  const isInApp = notices.some(({ channels }) => channels === null || channels.includes('"in_app"'));
  const isLive = notices.some(({ delivered }) => delivered === 1);
  const count = (is: (notice: Notices[number]) => boolean): number => notices.filter(is).length;
  if (notices.length === 0) lines.push("The first notification is not due yet");
  else if (deliveries.length === 0 && !isInApp) lines.push("No channel of the contact rules has an address or device");
  else if (deliveries.length === 0 && !isLive) lines.push("No channel outside of the app; not connected to the app");
  const read = count(({ readAt }) => readAt !== null);
  const acknowledged = count(({ acknowledgedAt }) => acknowledgedAt !== null);
  if (notices.length > 0)
    lines.push(`Read ${read} and acknowledged ${acknowledged} of ${countText(notices.length, "notification")}`);
  return lines;
}
