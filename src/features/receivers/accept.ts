import type { Clock } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { boundedId } from "../../core/tokens.ts";
import { isOwnEvent, type Level, OWN_SOURCE } from "../../core/vocabulary.ts";
import type { Database, InTransaction, Trx } from "../../store/database.ts";
import type { RequestResult } from "../../store/schema.ts";
import type { AlertInput, Alerts } from "../alerts/index.ts";
import { appendEvents, type EventDraft, reservedSource } from "../events/index.ts";
import { ConditionTooCostly } from "../rules/index.ts";
import { parsedBy } from "./hooks.ts";
import { type ItemStatus, jsonLength, type MappedItem } from "./mapped-item.ts";
import { applyMapping, type CompiledMapping, type Mapped, type MappingInput, plainTextOf } from "./mapping.ts";
import { type Content, MAX_TEXT, type RawRequest } from "./read-request.ts";
import type { Receiver, ReceiverRow } from "./receivers.ts";
import type { Redaction } from "./redaction.ts";
import { type LogEntry, writeLogEntry } from "./request-log.ts";
import { firstTextOf, membersOf, misdeclared, UNMAPPED_TYPE, unmappedTitle } from "./unmapped.ts";

/** Acknowledges an incident, in the transaction of the request. */
interface IncidentActions {
  acknowledge(
    id: string,
    actor: { readonly id: string; readonly via: string },
    options?: InTransaction,
  ): Promise<unknown>;
}

export interface AcceptContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly alerts: Alerts;
  readonly incidents: IncidentActions;
}

/** What a request stores. */
export interface Plan {
  readonly result: Extract<RequestResult, "accepted" | "unmapped" | "ignored">;
  readonly events: readonly EventDraft[];
  readonly alerts: readonly AlertPlan[];
  /** Elements that the mapping leaves out. */
  readonly ignored: number;
  /** Why the mapping was stopped, or the values that it left out. */
  readonly problem: string | null;
}

/** What happens with one alert. */
export interface AlertPlan {
  readonly key: string;
  readonly status: Exclude<ItemStatus, "event">;
  readonly input: AlertInput & { readonly key: string };
  /** Stored in its place if it is refused, so that nothing is lost. */
  readonly fallback: EventDraft;
  /** Its event among those of the plan. */
  readonly eventAt: number | null;
}

/** Longer content is left out of events. */
const MAX_CONTENT = 131_072;

/** The values that mappings read, without secrets. */
export function mappingInput(
  receiver: Pick<Receiver, "preset" | "row">,
  request: Pick<RawRequest, "method" | "query" | "headers">,
  content: Content,
  redaction: Redaction,
): MappingInput {
  const { row, preset } = receiver;
  const body = redaction.value(content.body);
  return {
    body,
    text: textOf(content, body, redaction),
    headers: redaction.record(request.headers),
    query: redaction.record(request.query),
    form: content.form && redaction.record(content.form),
    files: content.files,
    method: request.method,
    receiver: { id: row.id, name: row.name, labels: JSON.parse(row.labels) as unknown },
    parsed: parsedBy(preset.hook, { ...content, body }),
  };
}

/** The text of a body of which members are masked is made of the body again. */
function textOf(content: Content, body: unknown, redaction: Redaction): string | null {
  if (body === null) return content.text === null ? null : redaction.json(content.text);
  const made = JSON.stringify(body);
  return content.text !== null && made === JSON.stringify(content.body) ? content.text : made.slice(0, MAX_TEXT);
}

/** Decides what a request stores; stores nothing. @throws VALIDATION_FAILED for a source of the server's own events */
export function planRequest(
  { row, preset }: Pick<Receiver, "row" | "preset">,
  mapping: CompiledMapping,
  input: MappingInput,
  now: number,
): Plan {
  const whole = { row, preset: preset.name, now };
  const unmapped = (problem: string | null, ignored = 0): Plan => ({
    ...{
      result: "unmapped",
      events: [notifying(row, "warn", unmappedEvent(row, input))],
      alerts: [],
      ignored,
      problem: listed(problem, membersOf(input), misdeclared(input)),
    },
  });
  let mapped: Mapped;
  try {
    mapped = applyMapping(mapping, input, now);
  } catch (error) {
    if (!(error instanceof ConditionTooCostly)) throw error;
    return unmapped(error.message);
  }
  const { items, ignored, problem } = mapped;
  const found = items.filter((item) => !item.isUnmapped);
  if (items.length > 0 && found.length === 0) return unmapped(problem, ignored);
  const limit = Math.max(MIN_STORED, STORED_PER_BODY * jsonLength(input.body));
  if (found.some(({ source }) => isOwnEvent({ source }))) throw reservedSource();
  const drafts = draftsOf(found, whole, limit);
  if (drafts === null) return unmapped(`the mapping makes more than ${limit} characters of this request`, ignored);
  return {
    result: found.length === 0 ? "ignored" : "accepted",
    ...drafts,
    ignored,
    problem: listed(problem, misdeclared(input)),
  };
}

/** Problems as the log shows them; null for none. */
function listed(...problems: readonly (string | null)[]): string | null {
  return problems.filter((each) => each !== null).join("; ") || null;
}

/** What one request may store, in characters of JSON: a mapping may repeat parts of it in each element. */
const MIN_STORED = 4_194_304;
const STORED_PER_BODY = 4;

/** @returns null if they are larger than the limit together */
function draftsOf(items: readonly MappedItem[], whole: Whole, limit: number): Pick<Plan, "events" | "alerts"> | null {
  const events: EventDraft[] = [];
  const alerts: AlertPlan[] = [];
  let size = 0;
  for (const item of items) {
    const alert = alertOf(item, whole);
    const event = item.output === "both" || !isAlert(item) ? eventOf(item, whole) : null;
    if (alert) alerts.push({ ...alert, eventAt: event ? events.length : null });
    if (event) events.push(alert ? event : notifying(whole.row, item.level, event));
    size += jsonLength(event?.payload ?? null) + jsonLength(alert?.input ?? null);
    if (size > limit) return null;
  }
  return { events, alerts };
}

const QUIET: ReadonlySet<Level> = new Set(["debug", "info"]);

/** Marks an event of which its receiver notifies when no rule takes it. @param level null: none */
function notifying(row: ReceiverRow, level: Level | null, event: EventDraft): EventDraft {
  const notifies = row.notifies === 1 && (level === null || !QUIET.has(level));
  return notifies ? { ...event, receiverId: row.id } : event;
}

/** The ids of a request that refuse its repetition. */
export function replayIdsOf(receiver: Receiver, input: MappingInput, signed: string | null, now: number): string[] {
  const given = receiver.replayId === null ? null : plainTextOf(receiver.replayId, input, now);
  return [...(given === null ? [] : [`given:${boundedId(given)}`]), ...(signed === null ? [] : [signed])];
}

interface Whole {
  readonly row: ReceiverRow;
  readonly preset: string;
  readonly now: number;
}

type AlertItem = MappedItem & { readonly key: string; readonly status: AlertPlan["status"] };

function isAlert(item: MappedItem): item is AlertItem {
  return item.output !== "events" && item.key !== null && item.status !== "event";
}

function eventOf(item: MappedItem, { row, preset, now }: Whole): EventDraft {
  const { status, title, message, key, link, labels } = item;
  const made = {
    receiver: { id: row.id, name: row.name },
    title: title ?? row.name,
    message,
    status,
    key,
    link,
    labels: { ...labels, ...labelsOf(row) },
    ...contentOf(item.content),
  };
  return {
    projectId: row.projectId,
    type: item.type ?? `${preset}.${status}`,
    level: item.level ?? (status === "firing" ? "error" : "info"),
    source: item.source ?? sourceOf(row),
    occurredAt: item.time ?? now,
    payload: item.payload !== null && jsonLength(item.payload) <= MAX_CONTENT ? item.payload : made,
  };
}

function unmappedEvent(row: ReceiverRow, { body, text, headers, query, method }: MappingInput): EventDraft {
  const found = firstTextOf({ body, text });
  const payload = {
    receiver: { id: row.id, name: row.name },
    title: unmappedTitle(row.name, found),
    message: found,
    ...{ method, headers, query },
    ...contentOf(body ?? text),
  };
  return {
    projectId: row.projectId,
    type: UNMAPPED_TYPE,
    level: "warn",
    source: sourceOf(row),
    payload,
  };
}

function contentOf(content: unknown): { readonly body: unknown; readonly bodyOmitted?: true } {
  return jsonLength(content) <= MAX_CONTENT ? { body: content } : { body: null, bodyOmitted: true };
}

/** Names of older receivers may start as the server's own sources do. */
function sourceOf({ name }: Pick<ReceiverRow, "name">): string {
  return isOwnEvent({ source: name })
    ? sourceOf({ name: name.slice(OWN_SOURCE.length) || "receiver" })
    : name.slice(0, 100);
}

function labelsOf(row: ReceiverRow): Record<string, string> {
  return JSON.parse(row.labels) as Record<string, string>;
}

const SEVERITY_OF: Readonly<Record<Level, string>> = {
  debug: "info",
  info: "info",
  warn: "warning",
  error: "error",
  fatal: "critical",
};

/** @returns null for an element that is no alert */
function alertOf(item: MappedItem, whole: Whole): Omit<AlertPlan, "eventAt"> | null {
  if (!isAlert(item)) return null;
  const { row, now } = whole;
  const { key, status } = item;
  const base = {
    projectId: row.projectId,
    source: "receiver",
    sourceId: row.id,
    sender: `receiver:${row.id}`,
    key: `rc:${row.id}:${key}`,
  } as const;
  const input: AlertPlan["input"] =
    status === "resolved"
      ? { ...base, labels: {}, endsAt: Math.min(item.endsAt ?? now, now), resolvesAtOnce: true }
      : { ...base, ...firingOf(item, row, now) };
  return { key, status, input, fallback: notifying(row, item.level, eventOf(item, whole)) };
}

function firingOf(item: AlertItem, row: ReceiverRow, now: number) {
  const { title, message, level, link, startsAt, endsAt } = item;
  const severity = level === null ? {} : { severity: SEVERITY_OF[level] };
  const labels = { alertname: title ?? row.name, receiver: row.name, ...severity, ...item.labels, ...labelsOf(row) };
  const annotations = {
    ...item.annotations,
    ...(title !== null && { summary: title }),
    ...(message !== null && { description: message }),
  };
  return {
    labels,
    annotations,
    ...(link !== null && { generatorUrl: link }),
    ...(startsAt !== null && startsAt <= now && { startsAt }),
    ...(endsAt !== null && endsAt > now && { endsAt }),
  };
}

/** What was stored, for the log of requests and for answers. */
export interface Stored {
  readonly result: RequestResult;
  readonly eventIds: readonly string[];
  readonly alerts: readonly { readonly key: string; readonly outcome: string; readonly alertId: string | null }[];
}

/**
 * Stores the ids against replays, the events, the alerts and the entry of the log in one
 * transaction: after a crash the sender's repetition finds all of them or nothing.
 * @throws STORAGE_FULL, DATABASE_UNAVAILABLE, SHUTTING_DOWN
 */
export function storeRequest(
  context: AcceptContext,
  receiver: Receiver,
  plan: Plan,
  { replayIds, entry }: { readonly replayIds: readonly string[]; readonly entry: LogEntry },
): Promise<Stored> {
  const { db, clock } = context;
  const write = async (trx: Trx): Promise<Stored> => {
    const now = clock.now();
    const isNew = await keepReplayIds(trx, receiver.row.id, replayIds, now);
    const stored: Stored = isNew
      ? await storePlan(context, trx, receiver, plan, now)
      : { result: "replayed", eventIds: [], alerts: [] };
    await writeLogEntry(trx, { ...entry, result: stored.result, outcome: outcomeOf(plan, stored) });
    return stored;
  };
  // Alerts are decided by memory, which changes after each commit.
  return db.write(write, { sharesCommit: plan.alerts.length === 0 });
}

const MAX_SHOWN = 20;

function outcomeOf({ ignored, problem }: Plan, { eventIds, alerts }: Stored): Record<string, unknown> {
  return {
    events: eventIds.length,
    eventIds: eventIds.slice(0, MAX_SHOWN),
    alerts: alerts.slice(0, MAX_SHOWN),
    ...(ignored > 0 && { ignored }),
    ...(problem !== null && { problem }),
  };
}

/** @returns false if one of them is known */
async function keepReplayIds(trx: Trx, receiverId: string, ids: readonly string[], at: number): Promise<boolean> {
  let isNew = true;
  for (const replayId of ids) {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto("receiver_replays")
      .values({ receiverId, replayId, at })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 0n) isNew = false;
  }
  return isNew;
}

async function storePlan(
  context: AcceptContext,
  trx: Trx,
  receiver: Receiver,
  plan: Plan,
  now: number,
): Promise<Stored> {
  const { alerts } = context;
  const refused: EventDraft[] = [];
  const events = [...plan.events];
  const shown: Stored["alerts"][number][] = [];
  const inputs = plan.alerts.map((each) => (each.status === "firing" ? withKeptLabels(alerts, each) : each));
  const submitted = inputs.filter(({ status }) => status !== "acknowledged");
  const outcomes =
    submitted.length === 0
      ? []
      : await alerts.submit(
          submitted.map(({ input }) => input),
          { trx },
        );
  for (const [i, outcome] of outcomes.entries()) {
    const { key, fallback, eventAt = null } = submitted[i] ?? { key: "", fallback: undefined };
    if (outcome.status === "refused" && fallback) refused.push(withProblem(fallback, outcome.error.message));
    shown.push({ key, outcome: outcome.status, alertId: outcome.alert?.id ?? null });
    const event = eventAt === null ? undefined : events[eventAt];
    if (event && outcome.alert) events[eventAt ?? 0] = { ...event, correlationId: outcome.alert.id };
  }
  for (const each of inputs.filter(({ status }) => status === "acknowledged")) {
    const alertId = await acknowledge(context, trx, receiver.row, each);
    if (alertId === null) refused.push(each.fallback);
    shown.push({ key: each.key, outcome: alertId === null ? "unknown" : "acknowledged", alertId });
  }
  const source = sourceOf(receiver.row);
  const eventIds = await appendEvents(trx, [...events, ...refused], { source, now });
  return { result: plan.result, eventIds, alerts: shown };
}

/** Another label would move a firing alert to another incident: all but the severity stay. */
function withKeptLabels(alerts: Alerts, plan: AlertPlan): AlertPlan {
  const live = alerts.byKey(plan.input.projectId, plan.input.key);
  if (!live) return plan;
  const { severity } = plan.input.labels;
  const labels = { ...live.labels, ...(severity !== undefined && { severity }) };
  return { ...plan, input: { ...plan.input, labels, startsAt: live.startsAt } };
}

function withProblem(event: EventDraft, problem: string): EventDraft {
  return { ...event, id: uuidv7(), payload: { ...event.payload, problem } };
}

/** @returns the alert's id; null if it does not fire */
async function acknowledge(
  { alerts, incidents }: AcceptContext,
  trx: Trx,
  row: ReceiverRow,
  { input }: AlertPlan,
): Promise<string | null> {
  const live = alerts.byKey(row.projectId, input.key);
  if (!live) return null;
  const open = await trx
    .selectFrom("incident_alerts as m")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .select("i.id")
    .where("m.alertId", "=", live.id)
    .where("i.state", "<>", "resolved")
    .execute();
  for (const { id } of open) await incidents.acknowledge(id, { id: `receiver:${row.id}`, via: "receiver" }, { trx });
  return live.id;
}
