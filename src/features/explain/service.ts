import type { PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { LoopTurns } from "../../core/promises.ts";
import { countText } from "../../core/text/clean-text.ts";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Uses } from "../../module/feature.ts";
import type { EventsTable } from "../../store/schema.ts";
import { incidentsOfAlert, notifiedUsers } from "../alerts/index.ts";
import { storedEvent } from "../rules/index.ts";
import type { AlertingParts } from "./alert-next.ts";
import { notificationCause } from "./alert-service.ts";
import { notificationTimeline, type ShownRecipients } from "./notification-timeline.ts";
import * as queries from "./queries.ts";
import { decidedRule, type ExplainedRule, OUT_OF_REACH, silentRule } from "./rule-outcomes.ts";
import type { ExplainedNotification, ExplainView } from "./schema.ts";
import { readEligibility, reasonsFor } from "./user-reasons.ts";

/** Dependencies besides the services of every module. */
export interface ExplainOwn extends Uses<"db" | "projects" | "users" | "settings" | "originOfChannel"> {
  readonly alerting: AlertingParts;
}

const HINT = "the event did not notify you; a user with that permission can explain it for you with --user (?userId=)";

/** Limit for the traces of decided rules in an answer, and for those of other rules. */
const MAX_TRACE_BYTES = 4_194_304;

interface Asked {
  readonly kind: "event" | "notification";
  readonly id: string;
  readonly event: EventsTable | undefined;
  /** Shows only this user's part; null: everything. */
  readonly only: string | null;
  readonly userId: string | null;
  /** Whether the caller may read the incidents of its project. */
  readonly seesEvents: boolean;
}

/**
 * @throws EVENT_NOT_FOUND, USER_NOT_FOUND, UNAUTHORIZED_ROLE for a caller who may see the event but
 * not its recipients
 */
export async function explainEvent(
  context: ExplainOwn,
  principal: PermissionHolder,
  id: string,
  userRef: string | undefined,
): Promise<ExplainView> {
  const { db, projects } = context;
  const event = isUuid(id) ? await queries.findEvent(db.read, id) : undefined;
  if (!event) throw new PrismError("EVENT_NOT_FOUND", "No such event");
  const seesEvent = projects.has(principal, event.projectId, "events:read");
  const isFull = seesEvent && principal.permissions.has("notifications:read_all");
  const only = isFull ? null : principal.userId;
  const rules = await decidedRules(context, event);
  if (only !== null && (await notificationsOf(context, rules, { only, also: null })).length === 0)
    throw seesEvent
      ? missingPermission("notifications:read_all", HINT)
      : new PrismError("EVENT_NOT_FOUND", "No such event");
  const userId = userOf(context, userRef, only);
  return explain(context, { kind: "event", id, event, only, userId, seesEvents: true }, rules, null);
}

/** @throws NOTIFICATION_NOT_FOUND, USER_NOT_FOUND; UNAUTHORIZED_ROLE if its event is hidden */
export async function explainNotification(
  context: ExplainOwn,
  principal: PermissionHolder,
  id: string,
  userRef: string | undefined,
): Promise<ExplainView> {
  const { db, projects } = context;
  const notification = isUuid(id) ? await queries.findNotification(db.read, id) : undefined;
  if (!notification) throw noSuchNotification();
  const event = notification.eventId === null ? undefined : await queries.findEvent(db.read, notification.eventId);
  const seesAll = principal.permissions.has("notifications:read_all");
  const projectId = event?.projectId ?? notification.projectId;
  const seesEvents =
    projectId === null ? principal.permissions.has("events:read") : projects.has(principal, projectId, "events:read");
  const only = seesAll && seesEvents ? null : principal.userId;
  if (only !== null) {
    const [own] = await queries.recipientsOf(db.read, id, only, 1);
    if (!own || own.deletedAt !== null) throw seesAll ? missingPermission("events:read") : noSuchNotification();
  }
  const rules = event && notification.ruleId !== null ? await decidedRules(context, event, notification.ruleId) : [];
  const userId = userOf(context, userRef, only);
  return explain(context, { kind: "notification", id, event, only, userId, seesEvents }, rules, notification);
}

/** The user in question; always the caller if only the own part is visible. */
function userOf({ users }: ExplainOwn, ref: string | undefined, only: string | null): string | null {
  if (ref === undefined) return only;
  const userId = users.findAny(ref);
  if (only !== null && userId !== only)
    throw missingPermission("notifications:read_all", "without it you can ask about yourself only");
  if (userId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  return userId;
}

async function decidedRules(
  context: ExplainOwn,
  event: EventsTable,
  ruleId: string | null = null,
): Promise<ExplainedRule[]> {
  const incoming = storedEvent(event);
  const outcomes = { db: context.db.scan, defaults: context.settings.defaultSuppression };
  const rows = await queries.decisionsOf(outcomes.db, event.seq, ruleId);
  return explainEach(rows, (row) => decidedRule(outcomes, row, incoming));
}

/**
 * Omits traces that would make the answer too large: one can have 0.4 MB, and an answer has up to a
 * hundred of each kind.
 */
async function explainEach<Row>(
  rows: readonly Row[],
  explainRow: (row: Row) => ExplainedRule | Promise<ExplainedRule>,
): Promise<ExplainedRule[]> {
  const rules: ExplainedRule[] = [];
  const turns = new LoopTurns();
  let leftBytes = MAX_TRACE_BYTES;
  for (const row of rows) {
    const rule = await explainRow(row);
    if (rule.view.trace !== null) leftBytes -= JSON.stringify(rule.view.trace).length;
    rules.push(leftBytes >= 0 ? rule : { ...rule, view: { ...rule.view, trace: null } });
    await turns.pause();
  }
  return rules;
}

async function notificationsOf(
  { db: { scan } }: ExplainOwn,
  rules: readonly ExplainedRule[],
  shown: ShownRecipients,
): Promise<ExplainedNotification[]> {
  const ids = rules.flatMap(({ view }) => (view.notificationId === null ? [] : [view.notificationId]));
  const rows = ids.length === 0 ? [] : await queries.findNotifications(scan, [...new Set(ids)]);
  const timelines: ExplainedNotification[] = [];
  for (const row of rows) timelines.push(await notificationTimeline(scan, row, shown));
  if (shown.only === null) return timelines;
  return timelines.filter(({ recipients }) => recipients.some(({ deletedAt }) => deletedAt === null));
}

async function explain(
  context: ExplainOwn,
  asked: Asked,
  decided: readonly ExplainedRule[],
  notification: queries.Notification | null,
): Promise<ExplainView> {
  const { scan } = context.db;
  const { event, only, userId } = asked;
  const state = event ? await stateOf(scan, event) : null;
  const shown = { only, also: userId };
  const notifications = notification
    ? [await notificationTimeline(scan, notification, shown)]
    : await notificationsOf(context, decided, shown);
  const isWhole = asked.kind === "event" && only === null;
  const all = event && state && isWhole ? await withSilent(context, event, state.state, decided) : null;
  const rules = all?.rules ?? (only === null ? decided : ownPart(decided, notifications));
  const eligibility =
    userId === null ? null : await readEligibility(scan, userId, event?.projectId ?? null, context.projects.defaultId);
  const user =
    eligibility && (await reasonsFor(scan, eligibility, rules, notifications, asked.event?.receivedAt ?? null));
  const about = await incidentOf(context, asked);
  const views = rules.map(({ view }) => ({ ...view, user: user?.byRule.get(view.ruleId) ?? null }));
  const parts = {
    subject: { kind: asked.kind, id: asked.id },
    scope: only === null ? ("full" as const) : ("own" as const),
    event: event && state ? eventView(event, state) : null,
    counts: all?.counts ?? countOf(rules),
    rules: views,
    rulesLeftOut: all?.leftOut ?? 0,
    notifications,
    incident: about?.cause ?? (await causeOf(context, notification, { only, seesEvents: asked.seesEvents })),
    user: user && { id: user.id, name: user.name, told: user.told, reasons: user.reasons },
  };
  return about ? withIncident(parts, about) : { ...parts, answer: answerOf(parts) };
}

interface EventIncident {
  readonly cause: NonNullable<ExplainView["incident"]>;
  /** Users whom the incident has notified. */
  readonly people: ReadonlySet<string>;
}

/** The newest incident of the alert that an event was stored with; null without one. */
async function incidentOf(context: ExplainOwn, { kind, event, only }: Asked): Promise<EventIncident | null> {
  if (kind !== "event" || !event?.correlationId || only !== null) return null;
  const { scan } = context.db;
  const [row] = await incidentsOfAlert(scan, event.correlationId, 1);
  // Producers may choose correlation ids.
  if (row?.projectId !== event.projectId) return null;
  const cause = await notificationCause(context, row.id, { notificationId: null, userId: only });
  return cause && { cause, people: new Set(await notifiedUsers(scan, [row.id])) };
}

/** The incident notifies for the event's alert, whatever the rules did. */
function withIncident(parts: Parts, { cause, people }: EventIncident): ExplainView {
  const { user } = parts;
  const by = `incident ${cause.number}, ${cause.title}`;
  if (user && people.has(user.id)) {
    const reason = `the alert of the event is of ${by}, which notified ${user.name}`;
    const told = { ...user, told: true, reasons: [reason, ...user.reasons] };
    return { ...parts, user: told, answer: `${user.name} was notified (${reason}).` };
  }
  const all = `Its alert is of ${by}, which has notified ${countText(people.size, "person", "people")}.`;
  return { ...parts, answer: `${answerOf(parts)} ${all}` };
}

/** The cause of a notification of an incident; null for other notifications. */
async function causeOf(
  context: ExplainOwn,
  notification: queries.Notification | null,
  { only, seesEvents }: Pick<Asked, "only" | "seesEvents">,
) {
  if (!notification?.incidentId || !seesEvents) return null;
  return notificationCause(context, notification.incidentId, { notificationId: notification.id, userId: only });
}

/** Adds the rules without a decision, each with the reason. */
async function withSilent(
  context: ExplainOwn,
  event: EventsTable,
  state: State["state"],
  decided: readonly ExplainedRule[],
) {
  const { scan } = context.db;
  const at = event.processedAt ?? event.receivedAt;
  const incoming = storedEvent(event);
  const [rows, silentTotal, outcomes] = await Promise.all([
    queries.silentRules(scan, event, at, queries.LISTED),
    queries.countSilent(scan, event, at),
    queries.outcomesOf(scan, event.seq),
  ]);
  const silent = await explainEach(rows, (row) => silentRule(row, incoming, state));
  const decidedTotal = Object.values(outcomes).reduce((sum, n) => sum + n, 0);
  const rules = [...decided, ...silent];
  return {
    rules,
    counts: { ...outcomes, ...countOf(silent) },
    leftOut: decidedTotal + silentTotal - rules.length,
  };
}

type State = Pick<NonNullable<ExplainView["event"]>, "state" | "failure">;

async function stateOf(db: ExplainOwn["db"]["scan"], event: EventsTable): Promise<State> {
  const failure = (await queries.openFailure(db, event.seq)) ?? null;
  if (failure) return { state: "failed", failure };
  return { state: event.processedAt === null ? "waiting" : "decided", failure };
}

function eventView(event: EventsTable, { state, failure }: State) {
  const { id, seq, projectId, type, level, source, occurredAt, receivedAt, processedAt } = event;
  return {
    id,
    seq,
    projectId,
    type,
    level,
    source,
    occurredAt: toRfc3339(occurredAt),
    receivedAt: toRfc3339(receivedAt),
    state,
    decidedAt: toRfc3339OrNull(processedAt),
    failure,
  };
}

/** Only the rules that notified the caller, without the values of the event. */
function ownPart(rules: readonly ExplainedRule[], notifications: readonly ExplainedNotification[]): ExplainedRule[] {
  const ids = new Set(notifications.map(({ id }) => id));
  return rules
    .filter(({ view }) => view.notificationId !== null && ids.has(view.notificationId))
    .map(({ definition, view }) => ({
      definition,
      view: { ...view, condition: null, targets: null, trace: null, suppression: null },
    }));
}

function countOf(rules: readonly ExplainedRule[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { view } of rules) counts[view.outcome] = (counts[view.outcome] ?? 0) + 1;
  return counts;
}

function noSuchNotification(): PrismError {
  return new PrismError("NOTIFICATION_NOT_FOUND", "No such notification");
}

type Parts = Omit<ExplainView, "answer">;

/** Outcomes of rules whose condition was false or not evaluated. */
const UNMATCHED: ReadonlySet<string> = new Set(["condition false", "inactive", "later"]);

/** The answer in one sentence, about the user in question or about all recipients. */
function answerOf(parts: Parts): string {
  const { user, event, subject } = parts;
  if (user) return `${userAnswer(parts, user)}${acknowledgedText(parts, user.id)}`;
  if (subject.kind === "notification") return notificationAnswer(parts);
  if (event?.state === "failed")
    return (
      "The event is stored, but its rules could not be evaluated " +
      `(${event.failure?.lastError ?? "unknown reason"}); it is retried.`
    );
  if (event?.state === "waiting" && parts.notifications.length === 0)
    return "The event is stored and waits for its rules; no user was notified yet.";
  if (event?.state === "waiting")
    return `So many rules match that they are evaluated in slices, and some still wait. So far: ${eventAnswer(parts)}`;
  return eventAnswer(parts);
}

function userAnswer({ rules, rulesLeftOut }: Parts, { name, told, reasons }: NonNullable<Parts["user"]>): string {
  const answers = rules.filter(({ user }) => user?.told === told);
  // Prefers rules that could have notified the user.
  const inReach = answers.filter(({ user }) => !user?.reason.includes(OUT_OF_REACH));
  const byRule = inReach[0] ?? answers[0];
  // When several rules did not match, no single one is the reason.
  if (rules.length > 1 && inReach.length !== 1 && rules.every(({ outcome }) => UNMATCHED.has(outcome)))
    return `${name} was not notified: ${noneOf(rules.length + rulesLeftOut).toLowerCase()}.`;
  const reason = byRule?.user ? `${byRule.name}: ${byRule.user.reason}` : (reasons[0] ?? "");
  return `${name} was ${told ? "notified" : "not notified"} (${reason}).`;
}

function notificationAnswer({ notifications: [notification], event, incident }: Parts): string {
  if (!notification) return "The notification is no longer stored.";
  const { counts, kind, storm, aggregateCount } = notification;
  const people =
    `${countText(counts.recipients, "person", "people")}: ${counts.delivered} reached live, ` +
    `${counts.read} read it, ${counts.acknowledged} acknowledged it`;
  if (storm) return `It reports ${storm.heldBack} suppressed matches, and went to ${people}.`;
  if (incident) {
    const cause = incident.lines.findLast(({ kind }) => kind !== "acknowledged")?.text ?? "";
    return `${cause} It is of incident ${incident.number}, and it went to ${people}.${acknowledgedText({ incident })}`;
  }
  const repeats = aggregateCount > 1 ? ` It covers ${aggregateCount} events.` : "";
  const origin =
    kind === "rule"
      ? event
        ? "A rule made it from an event"
        : "A rule made it from an event that is no longer stored"
      : `It is of the kind ${kind}`;
  return `${origin}, and it went to ${people}.${repeats}`;
}

/** Who acknowledged the incident of a notification. @param userId not this user, whom the text names already */
function acknowledgedText({ incident }: Pick<Parts, "incident">, userId?: string): string {
  const acks = incident?.acknowledgements.filter((each) => each.userId !== userId) ?? [];
  const [first, ...others] = acks;
  if (!first) return "";
  const more = others.length === 0 ? "" : ` and ${countText(others.length, "other")}`;
  return ` ${first.name}${more} acknowledged the incident, at ${first.at}.`;
}

const WORDS: Readonly<Record<string, string>> = {
  fired: "sent a notification",
  suppressed: "held it back",
  deduped: "joined it to an earlier notification",
  cooled: "kept silent after an earlier notification",
  counted: "counted it",
  "alert-opened": "opened an alert",
  "alert-resolved": "resolved an alert",
  "no recipients": "had no recipients",
};

function eventAnswer({ counts, rulesLeftOut, rules, notifications }: Parts): string {
  const parts = Object.entries(WORDS).flatMap(([outcome, words]) => {
    const n = counts[outcome] ?? 0;
    return n === 0 ? [] : [`${n} ${words}`];
  });
  const unmatched = rules.length + rulesLeftOut;
  if (parts.length === 0)
    return unmatched === 0
      ? "No rule applied to it, so no user was notified."
      : `${noneOf(unmatched)}, so no user was notified.`;
  const matched = Object.keys(WORDS).reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);
  const fired = new Set(rules.filter(({ outcome }) => outcome === "fired").map(({ notificationId }) => notificationId));
  const people = notifications.filter(({ id }) => fired.has(id)).reduce((sum, each) => sum + each.counts.recipients, 0);
  const reached =
    people === 0 ? "it is in no inbox" : `${countText(people, "person has", "people have")} it in the inbox`;
  return `${countText(matched, "rule")} matched: ${parts.join(", ")}; ${reached}.`;
}

function noneOf(rules: number): string {
  return rules === 1 ? "The only rule did not match it" : `None of the ${rules} rules matched it`;
}
