import * as v from "valibot";
import { startOf } from "../../../core/clean-text.ts";
import { parseRfc3339, toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { recentlyUsed } from "../../../core/ttl-cache.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { type JsonMembers, parseJson, parseQuery } from "../../../http/input.ts";
import { type Method, Reply, type Route, route, undescribed } from "../../../http/route.ts";
import type { AlertView, LabelRecord } from "../../alerts/index.ts";
import * as c from "./context.ts";
import type { Integration } from "./integrations.ts";
import type { OpsgenieAlert } from "./opsgenie-alerts.ts";
import * as o from "./opsgenie-alerts.ts";

type Test = (alert: OpsgenieAlert) => boolean;

/**
 * A filter of Opsgenie's search language: `field: value` terms joined by AND, alternatives by OR,
 * which binds less, `NOT` before a term, and words that the message or the description contains.
 * @throws VALIDATION_FAILED
 */
function alertFilter(query: string): Test {
  const terms = query.match(TERM) ?? [];
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
    const test = testOf(word);
    tests.push(isNegated ? (alert) => !test(alert) : test);
    isNegated = false;
  }
  if (alternatives.length > 1 && alternatives.some((each) => each.length === 0))
    throw refused("OR needs a term on both sides");
  return (alert) => alternatives.some((each) => each.every((test) => test(alert)));
}

/** A field with its value, or a word; values may be quoted. */
const TERM = /\w+\s*(?:!=|[<>]=?|[:=])\s*(?:"[^"]*"|[^\s"]+)|"[^"]*"|[^\s"]+/g;

function testOf(term: string): Test {
  const [, field, operator = "", value] = /^(\w+)\s*(!=|[<>]=?|[:=])\s*(.*)$/s.exec(term) ?? [];
  const wanted = unquoted(value ?? term).toLowerCase();
  if (field === undefined) return wordTest(term, wanted);
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
function wordTest(term: string, wanted: string): Test {
  const isQuoted = term.startsWith('"');
  // It was meant as a comparison, and no alert would have it as a word.
  if (!isQuoted && /[<>=]/.test(term)) throw refused(`"${term}" is no term; quote words with <, > or =`);
  const part = isQuoted ? wanted : wanted.replace(/\*$/, "");
  return ({ message, description }) => holds(message, part) || holds(description, part);
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

function holds(text: string, wanted: string): boolean {
  return text.toLowerCase().includes(wanted);
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/s, "$1");
}

function refused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The query is not valid", { details: [{ path: "query", message }] });
}

const PATH = "/v2/alerts";
const MAX_ALIAS = 512;
const MAX_NOTE = 25_000;
/** Results of requests that clients can ask for. */
const KEPT_RESULTS = 10_000;
const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;
const IDENTIFIER_TYPES = ["id", "alias", "tiny"];

/** Result of a request. */
interface Result {
  readonly isSuccess: boolean;
  readonly action: string;
  readonly processedAt: string;
  readonly integrationId: string;
  readonly status: string;
  readonly alertId: string;
  readonly alias: string;
}

/** Subject of a request. */
interface Call {
  readonly exchange: Exchange;
  readonly integration: Integration;
  readonly body: JsonMembers;
  readonly query: Readonly<Record<string, string>>;
}

type Handle = (call: Call) => Promise<unknown>;

/** What a request changes of an alert: all its labels, or some annotations. */
interface Changes {
  readonly labels?: LabelRecord;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Does something with an alert. @returns the status text of the request */
type Act = (call: Call, alert: AlertView) => Promise<string>;

/** Opsgenie's alert API, as far as Alertmanager, Grafana and its client libraries use it. */
export function opsgenieRoutes(context: c.ProtocolContext): Route[] {
  const { kernel } = context;
  const results = recentlyUsed<string, Result>(KEPT_RESULTS);
  for (const prefix of [PATH, ...OTHERS]) kernel.addDialect({ prefix, errorBody: errorBodyOf });
  const serve = (method: Method, path: string, summary: string, handle: Handle): Route =>
    serveAt(method, `${PATH}${path}`, summary, handle);
  const serveAt = (method: Method, path: string, summary: string, handle: Handle, status = 202): Route =>
    route({
      method,
      path,
      summary,
      tag: "Opsgenie",
      access: { signer: (exchange) => `integration:${requireIntegration(context, exchange).id}` },
      ...(method === "GET" ? {} : { body: v.unknown(), raw: { types: ["application/json"], gzip: false }, status }),
      undocumented: true,
      response: undescribed,
      errors: ["INVALID_API_KEY", "UNAUTHENTICATED", "VALIDATION_FAILED", "ALERT_NOT_FOUND"],
      handle(exchange, { body }) {
        const integration = requireIntegration(context, exchange);
        const json = method === "GET" ? {} : c.requireObject(parseJson(body as unknown as Buffer, { exchange }));
        return handle({ exchange, integration, body: json, query: parseQuery(exchange.queryText) });
      },
    });
  const accepted = (
    call: Call,
    action: string,
    alert: AlertView | null,
    alias: string,
    status: string,
  ): Reply<unknown> => {
    const { exchange, integration } = call;
    const { id: integrationId } = integration;
    const processedAt = toRfc3339(context.clock.now());
    const isSuccess = alert !== null;
    const found = { alertId: alert?.id ?? "", alias };
    results.set(exchange.requestId, { isSuccess, action, processedAt, integrationId, status, ...found });
    context.integrations.count("opsgenie", "accepted");
    return new Reply(202, { result: "Request will be processed", ...traceOf(exchange) });
  };
  const act = (path: string, action: string, run: Act, method: Method = "POST"): Route =>
    serve(method, `/:identifier${path}`, `${action} an alert`, async (call) => {
      const { identifier, type } = target(call);
      const alert = await o.findAlert(context, call.integration, identifier, type);
      const isOpen = alert !== null && alert.state !== "resolved";
      const status = isOpen ? await run(call, alert) : "Alert does not exist";
      return accepted(call, action, isOpen ? alert : null, type === "alias" ? identifier : "", status);
    });
  return [
    serve("POST", "", "Create an alert", async (call) => {
      const alias = c.textIn(call.body, "alias") ?? call.exchange.requestId;
      if (c.textIn(call.body, "message") === undefined)
        return unprocessable(call, "message", "Message can not be empty.");
      if (alias.length > MAX_ALIAS) return unprocessable(call, "alias", `must be at most ${MAX_ALIAS} characters long`);
      const key = o.keyOf(call.integration, alias);
      // A repetition counts only: message, tags and the rest of the open alert stay.
      const { annotations } = context.alerts.byKey(call.integration.projectId, key) ?? {};
      const content = { ...o.contentOf(call.body), ...(annotations ? { annotations } : {}) };
      const alert = await c.fire(context, call.integration, key, content);
      return accepted(call, "Create", alert, alias, alert?.count === 1 ? "Created alert" : "Alert count increased");
    }),
    serve("GET", "", "List alerts", (call) => listAlerts(context, call)),
    serve("GET", "/count", "Count alerts", async (call) => ({
      data: { count: (await matching(context, call)).length },
      ...traceOf(call.exchange),
    })),
    serve("GET", "/requests/:requestId", "Get the result of a request", async ({ exchange, integration }) => {
      const result = results.get(exchange.params["requestId"] ?? "");
      if (!result || result.integrationId !== integration.id) throw new PrismError("NOT_FOUND", "Request not found");
      return { data: { success: result.isSuccess, ...result }, ...traceOf(exchange) };
    }),
    serve("GET", "/:identifier", "Get an alert", async (call) => {
      const [view] = await o.alertViews(context, call.integration, [await requireAlert(context, call)]);
      return { data: view, ...traceOf(call.exchange) };
    }),
    serve("GET", "/:identifier/notes", "List the notes of an alert", async (call) => ({
      data: await o.notesOf(context, (await requireAlert(context, call)).id),
      ...traceOf(call.exchange),
    })),
    ...actions(context, act),
    // What programs ask first to see whether key and address are right.
    serveAt("GET", "/v2/account", "Get the account", async ({ exchange, integration }) => ({
      data: { name: integration.name, plan: { name: "Prism", isYearly: false, maxUserCount: 0 }, userCount: 0 },
      ...traceOf(exchange),
    })),
    serveAt(
      "POST",
      "/v2/integrations/authenticate",
      "Check a key",
      async ({ exchange }) => new Reply(200, { result: "Integration authenticated", ...traceOf(exchange) }),
      200,
    ),
    serveAt("GET", "/v2/schedules/:identifier/on-calls", "Who is on call", (call) => onCallsOf(context, call)),
  ];
}

/** Paths beside those of alerts. */
const OTHERS = ["/v2/account", "/v2/integrations", "/v2/schedules"];

/** Who is on call on a schedule of the integration's project, by its id or name. */
async function onCallsOf(context: c.ProtocolContext, { exchange, integration, query }: Call): Promise<unknown> {
  const identifier = exchange.params["identifier"] ?? "";
  const by = query["scheduleIdentifierType"] === "name" ? "name" : "id";
  const { db, clock } = context;
  const schedule = await db.read
    .selectFrom("oncall_schedules")
    .select(["id", "name"])
    .where("projectId", "=", integration.projectId)
    .where(by, "=", identifier)
    .executeTakeFirst();
  if (!schedule) throw new PrismError("NOT_FOUND", `Schedule with ${by} [${identifier}] does not exist`);
  const at = query["date"] === undefined ? clock.now() : parseRfc3339(query["date"]);
  if (at === undefined) throw invalid("date", "must be an RFC 3339 time");
  const { current } = await context.onCall(db.read, schedule.id, at);
  const users =
    current.length === 0
      ? []
      : await db.read.selectFrom("users").select(["id", "username", "email"]).where("id", "in", current).execute();
  const people = current.flatMap((id) => users.find((user) => user.id === id) ?? []);
  const nameOf = ({ id, username, email }: (typeof users)[number]): string => email ?? username ?? id;
  const found =
    query["flat"] === "true"
      ? { onCallRecipients: people.map(nameOf) }
      : { onCallParticipants: people.map((user) => ({ id: user.id, name: nameOf(user), type: "user" })) };
  return { data: { _parent: { ...schedule, enabled: true }, ...found }, ...traceOf(exchange) };
}

function actions(
  context: c.ProtocolContext,
  act: (path: string, name: string, run: Act, method?: Method) => Route,
): Route[] {
  const { incidents } = context;
  /** With other labels the alert is routed again. */
  const resubmit = async ({ integration }: Call, alert: AlertView, changed: Changes): Promise<string> => {
    const { key, startsAt } = alert;
    const labels = { ...(changed.labels ?? alert.labels), ...integration.labels };
    const severity = labels["severity"] ?? alert.severity;
    const annotations = { ...alert.annotations, ...changed.annotations };
    await c.submit(context, integration, key, { labels, severity, startsAt, annotations });
    return "Updated alert";
  };
  const onIncidents = async (
    call: Call,
    { id }: AlertView,
    run: Parameters<typeof c.actOnIncidents>[3],
    done: string,
  ): Promise<string> => {
    const note = noteOf(call.body);
    const found = await c.actOnIncidents(context, call.integration, id, async (...given) => {
      await run(...given);
      if (note !== undefined) await incidents.note(given[0], note, given[1], given[2]);
    });
    return found ? done : "Alert has no open incident";
  };
  return [
    act("/close", "Close", async (call, alert) => {
      await onIncidents(call, alert, async () => undefined, "");
      await c.resolveAlert(context, call.integration, alert.key);
      return "Closed alert";
    }),
    act("/acknowledge", "Acknowledge", (call, alert) =>
      onIncidents(call, alert, (...given) => incidents.acknowledge(...given), "Acknowledged alert"),
    ),
    act("/unacknowledge", "UnAcknowledge", (call, alert) =>
      onIncidents(call, alert, (...given) => incidents.unacknowledge(...given), "UnAcknowledged alert"),
    ),
    act("/snooze", "Snooze", (call, alert) => {
      const until = parseRfc3339(c.textIn(call.body, "endTime") ?? "");
      if (until === undefined || until <= context.clock.now())
        throw invalid("endTime", "must be an RFC 3339 time in the future");
      return onIncidents(call, alert, (id, ...rest) => incidents.snooze(id, until, ...rest), "Snoozed alert");
    }),
    act("/notes", "Add Note", (call, alert) => {
      if (noteOf(call.body) === undefined) throw invalid("note", "Note can not be empty.");
      return onIncidents(call, alert, async () => undefined, "Added note");
    }),
    act("/tags", "Add Tags", (call, alert) => {
      const tags = o.tagsOf([...o.tagList(alert.annotations), ...o.tagsIn(call.body)]);
      return resubmit(call, alert, { annotations: c.present({ tags }) });
    }),
    act(
      "/tags",
      "Remove Tags",
      ({ query, ...call }, alert) => {
        const removed = new Set((query["tags"] ?? "").split(",").map((tag) => tag.trim()));
        const tags = o.tagsOf(o.tagList(alert.annotations).filter((tag) => !removed.has(tag)));
        return resubmit({ query, ...call }, alert, { annotations: { tags: tags ?? "" } });
      },
      "DELETE",
    ),
    act("/details", "Add Details", (call, alert) =>
      resubmit(call, alert, { labels: { ...alert.labels, ...o.detailsOf(call.body) } }),
    ),
    act(
      "/details",
      "Remove Details",
      (call, alert) => {
        const removed = new Set((call.query["keys"] ?? "").split(",").map((key) => key.trim()));
        const kept = Object.entries(alert.labels).filter(([name]) => o.isOwnLabel(name) || !removed.has(name));
        return resubmit(call, alert, { labels: Object.fromEntries(kept) });
      },
      "DELETE",
    ),
    act(
      "/message",
      "Update Message",
      (call, alert) => resubmit(call, alert, { annotations: { summary: o.summaryOf(required(call, "message")) } }),
      "PUT",
    ),
    act(
      "/description",
      "Update Description",
      (call, alert) =>
        resubmit(call, alert, {
          annotations: c.present({ description: o.descriptionOf(required(call, "description")) }),
        }),
      "PUT",
    ),
    act(
      "/priority",
      "Update Priority",
      (call, alert) => {
        const priority = c.textIn(call.body, "priority") ?? "";
        if (!o.PRIORITIES.includes(priority)) throw invalid("priority", `must be one of ${o.PRIORITIES.join(", ")}`);
        return resubmit(call, alert, { labels: o.prioritised(alert.labels, priority) });
      },
      "PUT",
    ),
  ];
}

async function listAlerts(context: c.ProtocolContext, call: Call): Promise<unknown> {
  const { query, exchange } = call;
  const found = await matching(context, call);
  const limit = Math.min(MAX_LIMIT, wholeNumber(query["limit"], DEFAULT_LIMIT));
  const offset = wholeNumber(query["offset"], 0);
  const sorted = query["order"] === "asc" ? found.reverse() : found;
  const at = (from: number): string => {
    const parameters = new URLSearchParams({ ...query, limit: String(limit), offset: String(from) });
    return `${PATH}?${parameters.toString()}`;
  };
  const next = offset + limit < found.length ? { next: at(offset + limit) } : {};
  return { data: sorted.slice(offset, offset + limit), paging: { first: at(0), ...next }, ...traceOf(exchange) };
}

async function matching(context: c.ProtocolContext, { integration, query }: Call): Promise<o.OpsgenieAlert[]> {
  const isWanted = alertFilter(query["query"] ?? "");
  const alerts = await o.allAlerts(context, integration);
  return (await o.alertViews(context, integration, alerts)).filter(isWanted);
}

/** @throws ALERT_NOT_FOUND */
async function requireAlert(context: c.ProtocolContext, call: Call): Promise<AlertView> {
  const { identifier, type } = target(call);
  const alert = await o.findAlert(context, call.integration, identifier, type);
  if (!alert) throw new PrismError("ALERT_NOT_FOUND", `Alert with ${type} [${identifier}] does not exist`);
  return alert;
}

function target({ exchange, query }: Call): { readonly identifier: string; readonly type: string } {
  const type = query["identifierType"] ?? "id";
  if (!IDENTIFIER_TYPES.includes(type)) throw invalid("identifierType", "must be id, alias or tiny");
  return { identifier: exchange.params["identifier"] ?? "", type };
}

/** @throws UNAUTHENTICATED, INVALID_API_KEY */
function requireIntegration({ integrations }: c.ProtocolContext, exchange: Exchange): Integration {
  const [, key] = /^GenieKey +([^ ,]+)$/i.exec(exchange.header("authorization")) ?? [];
  if (key === undefined)
    throw new PrismError("UNAUTHENTICATED", "Could not authenticate: send Authorization: GenieKey");
  const integration = integrations.use("opsgenie", key);
  if (!integration) throw new PrismError("INVALID_API_KEY", "Could not authenticate");
  exchange.projectId = integration.projectId;
  return integration;
}

/** The note of an action, with the user that it names. */
function noteOf(body: JsonMembers): string | undefined {
  const note = c.textIn(body, "note");
  const user = c.textIn(body, "user");
  if (note === undefined) return undefined;
  return startOf(user === undefined ? note : `${user}: ${note}`, MAX_NOTE);
}

function required({ body }: Call, name: string): string {
  const text = c.textIn(body, name);
  if (text === undefined) throw invalid(name, "can not be empty");
  return text;
}

function wholeNumber(text: string | undefined, otherwise: number): number {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : otherwise;
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "Request body is not processable. Please check the errors.", {
    details: [{ path, code: "VALUE", message }],
  });
}

/** Opsgenie's status for a body that is JSON, but no alert. */
function unprocessable(call: Call, path: string, message: string): Reply<unknown> {
  const error = invalid(path, message);
  return new Reply(422, { ...errorBodyOf(error, call.exchange), error: { code: error.code, message: error.message } });
}

function errorBodyOf({ code, message, details = [] }: PrismError, exchange: Exchange): object {
  const named = details.filter(({ path }) => path !== undefined && path !== "");
  const errors =
    named.length === 0 ? {} : { errors: Object.fromEntries(named.map((each) => [each.path, each.message])) };
  return { message: code === "INTERNAL" ? "Internal error" : message, ...errors, ...traceOf(exchange) };
}

/** Processing time in seconds, and the id for the log. */
function traceOf({ requestId, startedAt }: Exchange): { readonly took: number; readonly requestId: string } {
  return { took: Math.round(performance.now() - startedAt) / 1000, requestId };
}
