import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { withoutStateMark } from "../../../core/text/plain-text.ts";
import { SEVERITY_OF_LEVEL } from "../../../core/text/vocabulary.ts";
import { levelOfWord } from "../../../core/text/words.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { JsonMembers } from "../../../http/body/input.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { AlertView, LabelRecord } from "../../alerts/index.ts";
import * as c from "./context.ts";
import type { Integration } from "./integrations.ts";

const MAX_MESSAGE = 130;
const MAX_DESCRIPTION = 15_000;
const MAX_DETAILS = 8000;
const MAX_TAGS = 20;
const MAX_TAG = 50;
/** Closed alerts that a list shows. */
const MAX_CLOSED = 1000;

export const PRIORITIES = ["P1", "P2", "P3", "P4", "P5"];
const DEFAULT_PRIORITY = "P3";
/** Of an alert with all its tags and those of its integration: it may have 100. */
const MAX_LABELS = 80;
const TAG_PREFIX = "tag_";
/** Labels that are members of Opsgenie's alert; the others are its details. */
const OWN_LABELS: ReadonlySet<string> = new Set(["alertname", "priority", "severity", "source", "entity"]);

export function keyOf(integration: Integration, alias: string): string {
  return `og:${integration.id}:${alias}`;
}

function aliasOf({ key }: AlertView): string {
  return key.slice(key.indexOf(":", 3) + 1);
}

/** The labels and annotations of a request that creates an alert. */
export function contentOf(body: JsonMembers): { readonly labels: LabelRecord; readonly annotations: LabelRecord } {
  const message = summaryOf(c.textIn(body, "message") ?? "");
  const given = c.textIn(body, "priority") ?? "";
  const priority = PRIORITIES.includes(given) ? given : DEFAULT_PRIORITY;
  const details = detailsIn(body);
  const labels = c.present({
    team: teamIn(body),
    ...details,
    alertname: message,
    priority,
    severity: severityOf(priority),
    source: c.textIn(body, "source"),
    entity: c.textIn(body, "entity"),
  });
  const tags = tagsOf(tagsIn(body));
  const annotations = c.present({
    summary: message,
    description: descriptionOf(c.textIn(body, "description")),
    tags,
    note: c.textIn(body, "note"),
  });
  return {
    labels: { ...tagLabels(tagList({ tags: tags ?? "" }), MAX_LABELS - Object.keys(labels).length), ...labels },
    annotations,
  };
}

/** `tag_<x>="true"` of each tag, for routes; other characters than letters, digits and _ are _. */
function tagLabels(tags: readonly string[], most: number): LabelRecord {
  const labels = tags.map((tag): [string, string] => [`${TAG_PREFIX}${tag.replace(/[^A-Za-z0-9_]/g, "_")}`, "true"]);
  return Object.fromEntries(labels.slice(0, Math.max(0, most)));
}

function isTagLabel([name, value]: readonly [string, string]): boolean {
  return name.startsWith(TAG_PREFIX) && value === "true";
}

export function descriptionOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : startOf(text, MAX_DESCRIPTION);
}

export function summaryOf(text: string): string {
  return startOf(withoutStateMark(text), MAX_MESSAGE);
}

export function prioritised(labels: LabelRecord, priority: string): LabelRecord {
  return { ...labels, priority, severity: severityOf(priority) };
}

function severityOf(priority: string): string {
  return SEVERITY_OF_LEVEL[levelOfWord(priority) ?? "warn"];
}

export function isOwnLabel(name: string): boolean {
  return OWN_LABELS.has(name) || name === "team";
}

/** The details of a request that are labels of their own. */
export function detailsOf(body: JsonMembers): LabelRecord {
  return Object.fromEntries(Object.entries(detailsIn(body)).filter(([name]) => !isOwnLabel(name)));
}

/** Texts of `details`, as long as they are short together. */
function detailsIn(body: JsonMembers): Record<string, string> {
  const value = body["details"];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  const found: Record<string, string> = {};
  let left = MAX_DETAILS;
  for (const name of Object.keys(value)) {
    const text = c.textIn(value as JsonMembers, name);
    left -= name.length + (text ?? "").length;
    if (text !== undefined && name !== "" && left >= 0) found[name] = text;
  }
  return found;
}

/** The first team among the responders, for routes by the label `team`. */
function teamIn(body: JsonMembers): string | undefined {
  const responders = body["responders"] ?? body["teams"];
  if (!Array.isArray(responders)) return undefined;
  for (const each of responders as unknown[]) {
    const responder = typeof each === "object" && each !== null ? (each as JsonMembers) : {};
    const type = c.textIn(responder, "type") ?? "team";
    const name = c.textIn(responder, "name");
    if (type === "team" && name !== undefined) return name;
  }
  return undefined;
}

export function tagsIn(body: JsonMembers): string[] {
  const value = body["tags"];
  const tags = Array.isArray(value) ? value.filter((tag): tag is string => typeof tag === "string") : [];
  return tags.map((tag) => startOf(tag.trim().replaceAll(",", " "), MAX_TAG)).filter((tag) => tag !== "");
}

/** @returns undefined without tags */
export function tagsOf(tags: readonly string[]): string | undefined {
  return tags.length === 0 ? undefined : [...new Set(tags)].slice(0, MAX_TAGS).join(",");
}

export function tagList({ tags = "" }: LabelRecord): string[] {
  return tags === "" ? [] : tags.split(",");
}

/** A short decimal number of an alert, which people read. */
function tinyIdOf({ id }: Pick<AlertView, "id">): string {
  return String(Number.parseInt(id.slice(-9), 16));
}

/** Where the incident of an alert is in its life. */
interface IncidentState {
  readonly alertId: string;
  readonly state: string;
  readonly openedAt: number;
  readonly acknowledgedAt: number | null;
  readonly snoozedUntil: number | null;
}

/** Alerts as Opsgenie shows them. */
export async function alertViews(
  { db }: Pick<c.ProtocolContext, "db">,
  integration: Integration,
  alerts: readonly AlertView[],
): Promise<OpsgenieAlert[]> {
  const ids = alerts.map(({ id }) => id);
  const rows: readonly IncidentState[] =
    ids.length === 0
      ? []
      : await db.read
          .selectFrom("incident_alerts as m")
          .innerJoin("incidents as i", "i.id", "m.incidentId")
          .select(["m.alertId", "i.state", "i.openedAt", "i.acknowledgedAt", "i.snoozedUntil"])
          .where("m.alertId", "in", ids)
          .where("m.leftAt", "is", null)
          .orderBy("i.id")
          .execute();
  // Of several incidents the newest counts.
  const byAlert = new Map(rows.map((row) => [row.alertId, row]));
  return alerts.map((alert) => viewOf(integration, alert, byAlert.get(alert.id)));
}

export type OpsgenieAlert = ReturnType<typeof viewOf>;

function viewOf(integration: Integration, alert: AlertView, incident: IncidentState | undefined) {
  const { labels, annotations } = alert;
  const isOpen = alert.state !== "resolved";
  const snoozedUntil = incident?.snoozedUntil ?? null;
  const ackTime = incident?.acknowledgedAt ?? null;
  const source = labels["source"] ?? "";
  return {
    id: alert.id,
    tinyId: tinyIdOf(alert),
    alias: aliasOf(alert),
    message: annotations["summary"] ?? labels["alertname"] ?? "",
    status: isOpen ? "open" : "closed",
    acknowledged: incident?.state === "acknowledged",
    isSeen: incident?.state === "acknowledged",
    tags: tagList(annotations),
    snoozed: isOpen && snoozedUntil !== null,
    ...(isOpen && snoozedUntil !== null && { snoozedUntil: toRfc3339(snoozedUntil) }),
    count: alert.count,
    lastOccurredAt: toRfc3339(alert.lastAt),
    createdAt: toRfc3339(alert.startsAt),
    updatedAt: toRfc3339(alert.resolvedAt ?? alert.lastAt),
    source,
    owner: "",
    priority: labels["priority"] ?? DEFAULT_PRIORITY,
    responders: [],
    integration: { id: integration.id, name: integration.name, type: "API" },
    report: {
      ...(ackTime !== null && incident && { ackTime: Math.max(0, ackTime - incident.openedAt) }),
      ...(alert.resolvedAt !== null && { closeTime: Math.max(0, alert.resolvedAt - alert.startsAt) }),
    },
    actions: [],
    entity: labels["entity"] ?? "",
    description: annotations["description"] ?? "",
    details: Object.fromEntries(Object.entries(labels).filter((each) => !OWN_LABELS.has(each[0]) && !isTagLabel(each))),
  };
}

/** The current alert of an alias, otherwise the latest closed one. */
export async function findAlert(
  { alerts, db }: Pick<c.ProtocolContext, "alerts" | "db">,
  integration: Integration,
  identifier: string,
  identifierType: string,
): Promise<AlertView | null> {
  const { id: sourceId, projectId } = integration;
  const isOwn = (alert: AlertView): boolean => alert.source === "opsgenie" && alert.sourceId === sourceId;
  if (identifierType === "tiny")
    return alerts.list(projectId, (alert) => isOwn(alert) && tinyIdOf(alert) === identifier)[0] ?? null;
  if (identifierType === "alias") {
    const key = keyOf(integration, identifier);
    const live = alerts.byKey(projectId, key);
    return live ?? (await alerts.read(await latestOfKey(db.read, sourceId, key)))[0] ?? null;
  }
  const [alert] = await alerts.read([identifier]);
  return alert && isOwn(alert) ? alert : null;
}

async function latestOfKey(db: ReadDb, sourceId: string, key: string): Promise<string[]> {
  const rows = await ofOpsgenie(db, sourceId).where("key", "=", key).orderBy("startsAt", "desc").limit(1).execute();
  return rows.map(({ id }) => id);
}

/** Open alerts, and the latest closed ones, newest first. */
export async function allAlerts(
  { alerts, db }: Pick<c.ProtocolContext, "alerts" | "db">,
  { id: sourceId, projectId }: Integration,
): Promise<AlertView[]> {
  const open = alerts.list(projectId, (alert) => alert.source === "opsgenie" && alert.sourceId === sourceId);
  const rows = await ofOpsgenie(db.read, sourceId)
    .where("state", "=", "resolved")
    .orderBy("startsAt", "desc")
    .orderBy("id", "desc")
    .limit(MAX_CLOSED)
    .execute();
  const closed = await alerts.read(rows.map(({ id }) => id));
  return [...open, ...closed].sort((a, b) => b.startsAt - a.startsAt || (a.id < b.id ? 1 : -1));
}

function ofOpsgenie(db: ReadDb, sourceId: string) {
  return db
    .selectFrom("alerts")
    .select("id")
    .where("source", "=", sql.lit("opsgenie"))
    .where("sourceId", "=", sourceId);
}

/** The notes of the incidents of an alert, newest first. */
export async function notesOf({ db }: Pick<c.ProtocolContext, "db">, alertId: string) {
  const rows = await db.read
    .selectFrom("incident_alerts as m")
    .innerJoin("incident_log as l", "l.incidentId", "m.incidentId")
    .select(["l.seq", "l.at", "l.actor", "l.data"])
    .where("m.alertId", "=", alertId)
    .where("l.kind", "=", "note")
    .orderBy("l.at", "desc")
    .limit(100)
    .execute();
  return rows.map(({ seq, at, actor, data }) => ({
    note: (JSON.parse(data) as { text?: string }).text ?? "",
    owner: actor ?? "",
    createdAt: toRfc3339OrNull(at),
    offset: `${at}_${seq}`,
  }));
}

type Test = (alert: OpsgenieAlert) => boolean;
type TextOf = (alert: OpsgenieAlert) => readonly string[];

/** Each is compared with every alert. */
const MAX_TERMS = 20;

/** Message and description in lower case, once for all terms of an alert. */
function loweredText(): TextOf {
  let last: { readonly of: OpsgenieAlert; readonly texts: readonly string[] } | null = null;
  return (alert) => {
    if (last?.of !== alert) last = { of: alert, texts: [alert.message.toLowerCase(), alert.description.toLowerCase()] };
    return last.texts;
  };
}

/**
 * A filter of Opsgenie's search language: `field: value` terms joined by AND, alternatives by OR,
 * which binds less, `NOT` before a term, and words that the message or the description contains.
 * @throws VALIDATION_FAILED
 */
export function alertFilter(query: string): Test {
  const terms = query.match(TERM) ?? [];
  const textOf = loweredText();
  let count = 0;
  let tests: Test[] = [];
  const alternatives = [tests];
  let isNegated = false;
  for (const term of terms) {
    const word = term.trim();
    if (/[()]/.test(word.replace(/"[^"]*"/g, ""))) throw refused("Parentheses are not supported; quote them in words");
    if (/^and$/i.test(word)) continue;
    if (/^or$/i.test(word)) {
      tests = [];
      alternatives.push(tests);
      continue;
    }
    if (/^not$/i.test(word)) {
      isNegated = true;
      continue;
    }
    if (++count > MAX_TERMS) throw refused(`A query has at most ${MAX_TERMS} terms`);
    const test = testOf(word, textOf);
    tests.push(isNegated ? (alert) => !test(alert) : test);
    isNegated = false;
  }
  if (alternatives.length > 1 && alternatives.some((each) => each.length === 0))
    throw refused("OR needs a term on both sides");
  return (alert) => alternatives.some((each) => each.every((test) => test(alert)));
}

/** A field with its value, or a word; values may be quoted. */
const TERM = /\w+\s*(?:!=|[<>]=?|[:=])\s*(?:"[^"]*"|[^\s"]+)|"[^"]*"|[^\s"]+/g;

function testOf(term: string, textOf: TextOf): Test {
  const [, field, operator = "", value] = /^(\w+)\s*(!=|[<>]=?|[:=])\s*(.*)$/s.exec(term) ?? [];
  const wanted = unquoted(value ?? term).toLowerCase();
  if (field === undefined) return wordTest(term, wanted, textOf);
  const number = Object.hasOwn(NUMBERS, field) ? NUMBERS[field] : undefined;
  if (number) return numberTest(number, field, operator, wanted);
  const read = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
  const known = [...Object.keys(FIELDS), ...Object.keys(NUMBERS)].join(", ");
  if (!read) throw refused(`The field ${field} is not supported; known ones: ${known}`);
  if (/[<>]/.test(operator)) throw refused(`The field ${field} has no order: use : or !=`);
  const test: Test = (alert) => {
    const found = read(alert);
    return typeof found === "string" ? matches(found, wanted) : found.some((each) => matches(each, wanted));
  };
  return operator === "!=" ? (alert) => !test(alert) : test;
}

/** A word of the message or the description; with `*` at its end the start of one. */
function wordTest(term: string, wanted: string, textOf: TextOf): Test {
  const isQuoted = term.startsWith('"');
  // It was meant as a comparison, and no alert would have it as a word.
  if (!isQuoted && /[<>=]/.test(term)) throw refused(`"${term}" is no term; quote words with <, > or =`);
  const part = isQuoted ? wanted : wanted.replace(/\*$/, "");
  return (alert) => textOf(alert).some((text) => text.includes(part));
}

const NUMBERS: Readonly<Record<string, (alert: OpsgenieAlert) => number>> = {
  createdAt: ({ createdAt }) => Date.parse(createdAt),
  updatedAt: ({ updatedAt }) => Date.parse(updatedAt),
  lastOccurredAt: ({ lastOccurredAt }) => Date.parse(lastOccurredAt),
  count: ({ count }) => count,
};

function numberTest(read: (alert: OpsgenieAlert) => number, field: string, operator: string, text: string): Test {
  const wanted = field === "count" ? (/^\d+$/.test(text) ? Number(text) : Number.NaN) : instantOf(text);
  const hint = field === "count" ? "a whole number" : "epoch milliseconds, dd-mm-yyyy or RFC 3339";
  if (Number.isNaN(wanted)) throw refused(`The value of ${field} must be ${hint}`);
  const compare = COMPARE[operator] ?? ((a: number, b: number) => a === b);
  return (alert) => compare(read(alert), wanted);
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "!=": (a, b) => a !== b,
};

function instantOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const [, day, month, year, time = ""] = /^(\d\d)-(\d\d)-(\d{4})(t\d\d:\d\d(?::\d\d)?)?$/.exec(text) ?? [];
  return Date.parse(day === undefined ? text : `${year}-${month}-${day}${time === "" ? "" : `${time.toUpperCase()}Z`}`);
}

const FIELDS: Readonly<Record<string, (alert: OpsgenieAlert) => string | readonly string[]>> = {
  status: ({ status }) => status,
  alias: ({ alias }) => alias,
  tag: ({ tags }) => tags,
  tags: ({ tags }) => tags,
  priority: ({ priority }) => priority,
  message: ({ message }) => message,
  entity: ({ entity }) => entity,
  source: ({ source }) => source,
  tinyId: ({ tinyId }) => tinyId,
  acknowledged: ({ acknowledged }) => String(acknowledged),
  snoozed: ({ snoozed }) => String(snoozed),
};

/** `*` at the end: any text that starts so. */
function matches(found: string, wanted: string): boolean {
  const text = found.toLowerCase();
  return wanted.endsWith("*") ? text.startsWith(wanted.slice(0, -1)) : text === wanted;
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/s, "$1");
}

function refused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The query is not valid", { details: [{ path: "query", message }] });
}
