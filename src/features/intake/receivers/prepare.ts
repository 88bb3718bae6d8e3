import { boundedId } from "../../../core/crypto/tokens.ts";
import { normalised, startOf } from "../../../core/text/clean-text.ts";
import { describeBody } from "../../../core/text/describe-body.ts";
import { claimsOwnSource, type Level, OWN_SOURCE, SEVERITY_OF_LEVEL } from "../../../core/text/vocabulary.ts";
import type { RequestResult } from "../../../store/schema.ts";
import type { AlertInput } from "../../alerts/index.ts";
import { type EventDraft, reservedSource } from "../../events/index.ts";
import { ConditionTooCostly, stepsTaken } from "../../rules/index.ts";
import { parsedBy } from "./hooks.ts";
import { fitsEvent, type ItemStatus, jsonLength, type MappedItem, textOnce } from "./mapped-item.ts";
import { applyMapping, type CompiledMapping, type Mapped, type MappingInput, plainTextOf } from "./mapping.ts";
import type { LoadedPreset } from "./presets.ts";
import { openedPush, withData } from "./push.ts";
import { MAX_TEXT, type RawRequest, type RequestContent, readContent } from "./read-request.ts";
import type { ReceiverRow } from "./receiver.ts";
import type { Receiver } from "./receivers.ts";
import { Redaction } from "./redaction.ts";
import { logEntryOf, type RequestLogEntry } from "./request-log.ts";
import { digestOf, partsOf } from "./senders/unknown.ts";
import { compiledShape, shapeOf } from "./shapes.ts";

/** Plan of the rows that a request stores. */
export interface Plan {
  readonly result: Extract<RequestResult, "accepted" | "unmapped" | "ignored">;
  readonly events: readonly EventDraft[];
  readonly alerts: readonly AlertPlan[];
  /** Elements that the mapping leaves out. */
  readonly ignored: number;
  /** Why the mapping was stopped, or the values that it left out. */
  readonly problem: string | null;
}

/** Plan for one alert. */
export interface AlertPlan {
  readonly key: string;
  readonly status: Exclude<ItemStatus, "event">;
  readonly input: AlertInput & { readonly key: string };
  /** Stored in its place if it is refused, so that nothing is lost. */
  readonly fallback: EventDraft;
  /** Its event among those of the plan. */
  readonly eventAt: number | null;
  /** An end that does not notify if nothing fires. */
  readonly isRoutine: boolean;
}

/** The settings of a receiver that its requests need: data only, so that a thread can take it. */
export interface Deciding {
  readonly row: Pick<ReceiverRow, "id" | "projectId" | "name" | "labels" | "notifies">;
  readonly preset: Pick<LoadedPreset, "name" | "hook" | "redact">;
}

/** A request whose sender is known, and what it is decided by. */
export interface Preparation extends Deciding {
  readonly request: RawRequest;
  /** Values that are masked: the secrets, and the token of the URL. */
  readonly hidden: readonly string[];
  /** See {@link readContent}. */
  readonly needsJson: boolean;
  /** The id of the request that its signature gives. */
  readonly signed: string | null;
  /** Status of the answer, for the log. */
  readonly status: number;
  readonly now: number;
}

export interface Prepared {
  readonly plan: Plan;
  readonly replayIds: readonly string[];
  readonly entry: RequestLogEntry;
  /** The text of a Discord message, for its answer. */
  readonly content: string | null;
  /** Steps that the mapping took. */
  readonly steps: number;
}

/** Limits of one request. */
export interface PrepareLimits {
  readonly members: number;
  /** Steps of the mapping; null: the limit of a mapping. */
  readonly steps: number | null;
  /** Into which a mapping splits the request; null: what a mapping may make. */
  readonly elements: number | null;
}

/** The mapping takes more steps than the limits allow, and may take them elsewhere. */
export class TooManySteps extends Error {
  override readonly name = "TooManySteps";
}

/**
 * Reads, masks and maps a request; stores nothing. @throws TooManyMembers, TooManySteps, and for a
 * request that is refused MALFORMED_JSON, VALIDATION_FAILED, PAYLOAD_TOO_LARGE
 */
export function prepare(
  given: Preparation,
  texts: Pick<Receiver, "mapping" | "replayId" | "shapes">,
  limits: PrepareLimits,
): Prepared {
  const { row, request, now, status } = given;
  const content = readContent(request, { needsJson: given.needsJson, maxMembers: limits.members });
  const whole = { body: content.body, headers: request.headers };
  const shape = shapeOf(texts.shapes, whole);
  const preset = shape ?? given.preset;
  const redaction = new Redaction(
    given.hidden,
    [...(given.preset.redact ?? []), ...(shape?.redact ?? [])],
    limits.members,
  );
  const input = mappingInput({ row, preset }, request, content, redaction, limits.members);
  const made = planRequest({ row, preset }, shape ? compiledShape(shape) : texts.mapping, input, now, limits);
  const plan = { ...made, problem: listed(content.problem ?? null, made.problem) };
  const steps = stepsTaken();
  const shown = Object(input.body) as { readonly content?: unknown };
  return {
    plan,
    replayIds: replayIdsOf(texts.replayId, input, given.signed, now),
    entry: logEntryOf(row.id, request, {
      ...{ redaction, at: now, status, body: shownBody(content, input.body) },
      masked: { headers: input.headers, query: input.query } as Pick<RawRequest, "headers" | "query">,
    }),
    content: typeof shown.content === "string" ? startOf(shown.content, MAX_SHOWN_CONTENT) : null,
    steps,
  };
}

/** Discord's own limit of a message. */
const MAX_SHOWN_CONTENT = 4000;

/** A body of JSON for the log, which is masked already; undefined for any other. */
function shownBody({ form, text }: RequestContent, body: unknown): string | undefined {
  if (form !== null || text === null || body === null) return undefined;
  return typeof body === "object" ? textOnce(body) : JSON.stringify(body);
}

/** The values that mappings read, without secrets. */
function mappingInput(
  { row, preset }: Deciding,
  request: Pick<RawRequest, "method" | "query" | "headers">,
  content: RequestContent,
  redaction: Redaction,
  maxMembers: number,
): MappingInput {
  const value = redaction.masked(content.body);
  const push = openedPush(content.body, redaction, maxMembers);
  const body = push ? withData(value, push.data) : value;
  const isSame = body === content.body;
  const query = redaction.record(request.query);
  const text = textOf(content, body, isSame, redaction);
  const parsed = parsedBy(preset.hook, { ...content, text, body, query, push: push?.content }, maxMembers);
  return {
    body,
    text,
    headers: redaction.record(request.headers),
    query,
    form: content.form && redaction.record(content.form),
    files: content.files,
    method: request.method,
    receiver: { id: row.id, name: row.name, labels: labelsOf(row) },
    parsed,
    // A copy: the list of a mapping of one's own is another one.
    parts: preset.hook === "known" && !isRead(parsed) ? (partsOf(body)?.slice() ?? null) : null,
  };
}

/** Whether `parsed` is that of a known sender. */
function isRead(parsed: unknown): boolean {
  return typeof parsed === "object" && parsed !== null && Object.hasOwn(parsed, "type");
}

/** Rebuilds the text after masking, so that it has no masked values. */
function textOf(content: RequestContent, body: unknown, isSame: boolean, redaction: Redaction): string | null {
  if (body === null) return content.text === null ? null : redaction.json(content.text);
  return isSame && content.text !== null ? content.text : JSON.stringify(body).slice(0, MAX_TEXT);
}

const NO_CONTENT = { text: null, files: [] } as const;

/** Decides what a request stores; stores nothing. @throws VALIDATION_FAILED for a source of the server's own events */
function planRequest(
  { row, preset }: Deciding,
  mapping: CompiledMapping,
  input: MappingInput,
  now: number,
  limits: PrepareLimits,
): Plan {
  const whole = { row, preset: preset.name, now };
  const unmapped = (problem: string | null, ignored = 0, items: readonly MappedItem[] = []): Plan => ({
    ...{
      result: "unmapped",
      events: unmappedEvents(row, input, items),
      alerts: [],
      ignored,
      problem: listed(problem, membersOf(input), misdeclared(input)),
    },
  });
  const query = input.query as Readonly<Record<string, string>>;
  let mapped: Mapped;
  try {
    mapped = applyMapping(mapping, input, now, limits, (body) =>
      parsedBy(preset.hook, { ...NO_CONTENT, query, body }, limits.members),
    );
  } catch (error) {
    if (!(error instanceof ConditionTooCostly)) throw error;
    if (limits.steps !== null) throw new TooManySteps();
    return unmapped(error.message);
  }
  const { items, ignored, problem } = mapped;
  const mappedItems = items.filter((item) => !item.isUnmapped);
  const unread = items.filter((item) => item.isUnmapped);
  if (items.length > 0 && mappedItems.length === 0) return unmapped(problem, ignored, unread);
  const found = mappedItems.filter(({ source }) => !claimsOwnSource(source));
  const refusedCount = mappedItems.length - found.length;
  if (found.length === 0 && refusedCount > 0) throw reservedSource();
  const drafts = draftsOf(found, whole);
  if (drafts === null) return unmapped(`the mapping makes more than ${MAX_STORED} characters of this request`, ignored);
  const cutOff = cutOffEvent(row, input);
  return {
    result: found.length === 0 ? "ignored" : "accepted",
    ...drafts,
    // Elements that are not understood are reported beside the others.
    events: [
      ...drafts.events,
      ...(unread.length === 0 ? [] : unmappedEvents(row, input, unread)),
      ...(cutOff === null ? [] : [cutOff]),
    ],
    ignored,
    problem: listed(problem, refusedProblem(refusedCount), misdeclared(input), cutOffTitle(input)),
  };
}

function refusedProblem(count: number): string | null {
  if (count === 0) return null;
  return `${count} of its elements not stored: their source must not start with ${OWN_SOURCE}`;
}

/** How many alerts the sender has left out, as Alertmanager and Grafana say it beside those that they send. */
function cutOffTitle({ body }: Pick<MappingInput, "body">): string | null {
  const { alerts, truncatedAlerts: count } = Object(body) as { readonly [name: string]: unknown };
  if (!Array.isArray(alerts) || typeof count !== "number" || !(count > 0)) return null;
  const name = groupNameOf(body);
  const more = name === "" ? `${count} more` : `${count} more ${name}`;
  return `${more} ${count === 1 ? "alert was" : "alerts were"} cut off by the sender`;
}

/** The name of all alerts of the group, empty without one. */
function groupNameOf(body: MappingInput["body"]): string {
  const { groupKey, groupLabels } = Object(body) as { readonly [name: string]: unknown };
  const { alertname } = Object(groupLabels) as { readonly alertname?: unknown };
  const inKey = /[{ ]alertname="([^"\\]{1,100})"/.exec(typeof groupKey === "string" ? groupKey : "")?.[1];
  return startOf(typeof alertname === "string" ? alertname : (inKey ?? ""), MAX_GROUP_NAME).trim();
}

/** Notifies of alerts that the sender has left out. @returns null if there are none */
function cutOffEvent(row: Deciding["row"], input: MappingInput): EventDraft | null {
  const title = cutOffTitle(input);
  if (title === null) return null;
  const { groupKey, externalURL } = Object(input.body) as { readonly [name: string]: unknown };
  const group = typeof groupKey === "string" ? startOf(groupKey, MAX_GROUP) : "";
  const payload = {
    receiver: { id: row.id, name: row.name },
    title,
    message: `Its limit of alerts in one request (max_alerts) is too low.${group === "" ? "" : ` Group: ${group}`}`,
    ...(typeof externalURL === "string" && { link: externalURL }),
    digest: digestOf(group),
  };
  const { projectId } = row;
  return notifying(row, "warn", { projectId, type: CUT_OFF_TYPE, level: "warn", source: sourceOf(row), payload });
}

/** Problems as the log shows them; null for none. */
export function listed(...problems: readonly (string | null)[]): string | null {
  return problems.filter((each) => each !== null).join("; ") || null;
}

/** Largest stored size of one request, in characters of JSON: a mapping may repeat parts in each element. */
const MAX_STORED = 4_194_304;
/** Fewer elements are within it: what is stored of one has limits of its own, 0.7 million characters together. */
const MEASURED_ELEMENTS = 4;

/** @returns null if they are larger than the limit together */
function draftsOf(items: readonly MappedItem[], whole: Whole): Pick<Plan, "events" | "alerts"> | null {
  const events: EventDraft[] = [];
  const alerts: AlertPlan[] = [];
  let size = 0;
  for (const item of items) {
    const alert = alertOf(item, whole);
    const event = item.output === "both" || !isAlert(item) ? eventOf(item, whole) : null;
    if (alert) alerts.push(alertPlan(alert, event ? events.length : null));
    if (event) events.push(alert ? event : notifying(whole.row, item.level, event));
    if (items.length < MEASURED_ELEMENTS) continue;
    size += jsonLength(event?.payload ?? null) + jsonLength(alert?.input ?? null);
    if (size > MAX_STORED) return null;
  }
  return { events, alerts };
}

interface MadeAlert extends Pick<AlertPlan, "key" | "status" | "input" | "isRoutine"> {
  fallback(): EventDraft;
}

/** What is stored in place of an alert is made when it is read: few alerts are refused. */
function alertPlan({ key, status, input, isRoutine, fallback }: MadeAlert, eventAt: number | null): AlertPlan {
  return {
    key,
    status,
    input,
    eventAt,
    isRoutine,
    get fallback() {
      return fallback();
    },
  };
}

const QUIET: ReadonlySet<Level> = new Set(["debug", "info"]);

/** Marks an event that its receiver notifies of when no rule matches it. @param level null: none */
function notifying(row: Deciding["row"], level: Level | null, event: EventDraft): EventDraft {
  const notifies = row.notifies === 1 && (level === null || !QUIET.has(level));
  return notifies ? { ...event, receiverId: row.id } : event;
}

/** The ids of a request that refuse its repetition. */
function replayIdsOf(
  replayId: Receiver["replayId"],
  input: MappingInput,
  signed: string | null,
  now: number,
): string[] {
  const given = replayId === null ? null : plainTextOf(replayId, input, now);
  return [...(given === null ? [] : [`given:${boundedId(given)}`]), ...(signed === null ? [] : [signed])];
}

interface Whole {
  readonly row: Deciding["row"];
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
    payload: item.payload !== null && fitsEvent(item.payload) ? item.payload : made,
  };
}

/** One for each different element, or one for the request. */
function unmappedEvents(row: Deciding["row"], input: MappingInput, items: readonly MappedItem[]): EventDraft[] {
  const whole = input.body ?? input.text;
  const contents = new Map<string, unknown>();
  for (const { content } of items) {
    const part = typeof content === "object" && content !== null ? content : whole;
    const digest = digestOf(part);
    if (!contents.has(digest)) contents.set(digest, part);
  }
  if (contents.size === 0) contents.set(digestOf(whole), whole);
  return [...contents].map(([digest, content]) =>
    notifying(row, "warn", unmappedEvent(row, input, { digest, content })),
  );
}

function unmappedEvent(
  row: Deciding["row"],
  { headers, query, method }: MappingInput,
  { digest, content }: { readonly digest: string; readonly content: unknown },
): EventDraft {
  const { title, message, level, link } = describeBody(content, row.name);
  const payload = {
    receiver: { id: row.id, name: row.name },
    ...{ title, message },
    ...(link !== null && { link }),
    ...{ method, headers, query, digest },
    ...contentOf(content),
  };
  return {
    projectId: row.projectId,
    type: UNMAPPED_TYPE,
    level: level ?? "warn",
    source: sourceOf(row),
    payload,
  };
}

function contentOf(content: unknown): { readonly body: unknown; readonly bodyOmitted?: true } {
  return fitsEvent(content) ? { body: content } : { body: null, bodyOmitted: true };
}

/** Names of older receivers may start as the server's own sources do. */
export function sourceOf({ name }: Pick<ReceiverRow, "name">): string {
  if (!claimsOwnSource(name)) return name.slice(0, 100);
  const plain = normalised(name, "NFKC");
  return sourceOf({ name: plain.slice(plain.indexOf(":") + 1).trim() || "receiver" });
}

function labelsOf({ labels }: Pick<ReceiverRow, "labels">): Record<string, string> {
  return labels === "{}" ? {} : (JSON.parse(labels) as Record<string, string>);
}

/** @returns null for an element that is no alert */
function alertOf(item: MappedItem, whole: Whole): MadeAlert | null {
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
  const fallback = (): EventDraft => notifying(row, item.level, eventOf(item, whole));
  return { key, status, input, fallback, isRoutine: item.isRoutine };
}

function firingOf(item: AlertItem, row: Deciding["row"], now: number) {
  const { title, message, level, link, startsAt, endsAt } = item;
  const severity = level === null ? {} : { severity: SEVERITY_OF_LEVEL[level] };
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

/** The type of what is stored of a request in which the mapping finds nothing. */
const UNMAPPED_TYPE = "receiver.unmapped";
/** The type of what is stored beside alerts of which the sender has left out some. */
const CUT_OFF_TYPE = "receiver.truncated";
const MAX_GROUP = 500;
const MAX_GROUP_NAME = 100;

const MAX_NAMED = 10;
const MAX_NAME = 40;

/** For the log: what the body has, where the mapping found nothing. */
function membersOf({ body, text }: Pick<MappingInput, "body" | "text">): string {
  if (typeof body !== "object" || body === null) return text === null ? "the request has no body" : "the body is text";
  const names = Object.keys(body);
  const shown = names.slice(0, MAX_NAMED).map((name) => startOf(name, MAX_NAME));
  return `members of the body: ${shown.join(", ")}${names.length > MAX_NAMED ? ", …" : ""}`;
}

/** For the log: a body that its header calls JSON and that was read as text; null for any other. */
function misdeclared({ body, text, headers }: Pick<MappingInput, "body" | "text" | "headers">): string | null {
  const type = Object(headers) as { readonly "content-type"?: unknown };
  const isJsonType = /^\s*[^;]*[/+]json\b/i.test(String(type["content-type"] ?? ""));
  return isJsonType && body === null && text !== null
    ? "the body is not JSON, as its Content-Type says: it was read as text"
    : null;
}
