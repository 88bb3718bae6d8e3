import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { recentlyUsed } from "../../../core/limits/ttl-cache.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { parseRfc3339, toRfc3339 } from "../../../core/time/clock.ts";
import { type Method, Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { type JsonMembers, parseJson, parseQuery } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { AlertView, LabelRecord } from "../../alerts/index.ts";
import type { Unknown } from "./claims.ts";
import * as c from "./context.ts";
import type { Integration } from "./integrations.ts";
import * as o from "./opsgenie-alerts.ts";

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

interface Request {
  readonly exchange: Exchange;
  readonly body: JsonMembers;
  readonly query: Readonly<Record<string, string>>;
}

/** Subject of a request. */
interface Call extends Request {
  readonly integration: Integration;
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
  const serveAt = (method: Method, path: string, summary: string, handle: Handle, status = 202): Route => {
    const keepsUnknown = method === "POST" && path.startsWith(PATH);
    return route({
      method,
      path,
      summary,
      tag: "Opsgenie",
      access: {
        signer(exchange) {
          const sender = requireSender(context, exchange, keepsUnknown);
          return "id" in sender ? `integration:${sender.id}` : null;
        },
      },
      ...(method === "GET" ? {} : { body: v.unknown(), raw: { types: ["application/json"], gzip: false }, status }),
      undocumented: true,
      response: undescribed,
      errors: ["INVALID_API_KEY", "UNAUTHENTICATED", "VALIDATION_FAILED", "ALERT_NOT_FOUND"],
      async handle(exchange, { body }) {
        const bytes = method !== "GET" && path.startsWith(PATH) ? c.keptBytes(context, body) : null;
        const sender = requireSender(context, exchange, keepsUnknown);
        const json = method === "GET" ? {} : c.requireObject(parseJson(body as unknown as Buffer, { exchange }));
        const request = { exchange, body: json, query: parseQuery(exchange.queryText) };
        if ("id" in sender) {
          const reply = await handle({ ...request, integration: sender });
          if (reply instanceof Reply && reply.status === 202) await c.passOn(context, sender, exchange, bytes);
          return reply;
        }
        return keep(context, sender, request, path.split("/:identifier/")[1] ?? "create");
      },
    });
  };
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
      const alias = aliasIn(call);
      const refused = unprocessableNew(call);
      if (refused) return refused;
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
  const isWanted = o.alertFilter(query["query"] ?? "");
  const alerts = await o.allAlerts(context, integration);
  const turns = new LoopTurns();
  const found: o.OpsgenieAlert[] = [];
  for (const alert of await o.alertViews(context, integration, alerts)) {
    await turns.pause();
    if (isWanted(alert)) found.push(alert);
  }
  return found;
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

/** @param keepsUnknown an unknown key may be kept. @throws UNAUTHENTICATED, INVALID_API_KEY */
function requireSender(context: c.ProtocolContext, exchange: Exchange, keepsUnknown: boolean): Integration | Unknown {
  const { integrations, claims } = context;
  const key = genieKey(exchange);
  if (key === undefined)
    throw new PrismError("UNAUTHENTICATED", "Could not authenticate: send Authorization: GenieKey");
  const integration = integrations.find("opsgenie", key);
  const unknown = integration === null && keepsUnknown ? claims.admit(exchange, key) : null;
  if (unknown) return unknown;
  if (!integration) {
    integrations.count("opsgenie", "refused");
    throw new PrismError("INVALID_API_KEY", "Could not authenticate");
  }
  exchange.projectId = integration.projectId;
  return integration;
}

function genieKey(exchange: Exchange): string | undefined {
  return /^GenieKey +([^ ,]+)$/i.exec(exchange.header("authorization"))?.[1];
}

/** Keeps the request of an unknown key; its client gets the answer of one that is done later. */
async function keep(context: c.ProtocolContext, unknown: Unknown, request: Request, action: string) {
  const { exchange, body, query } = request;
  const isCreate = action === "create";
  const refused = isCreate ? unprocessableNew(request) : null;
  if (refused) return refused;
  const named = query["identifierType"] === "alias" ? (exchange.params["identifier"] ?? null) : null;
  const alias = isCreate ? aliasIn(request) : named;
  const message = isCreate ? o.summaryOf(c.textIn(body, "message") ?? "") : null;
  const isUnknown = () => context.integrations.find("opsgenie", genieKey(exchange) ?? "") === null;
  const kept = {
    action,
    alias: alias === null ? null : startOf(alias, MAX_ALIAS),
    message,
    body: JSON.stringify(body),
  };
  await context.claims.keep(unknown, kept, isUnknown);
  context.integrations.count("opsgenie", "kept");
  return new Reply(202, { result: "Request will be processed", ...traceOf(exchange) });
}

function aliasIn({ exchange, body }: Request): string {
  return c.textIn(body, "alias") ?? exchange.requestId;
}

/** The answer to a request that creates no alert. */
function unprocessableNew(request: Request): Reply<unknown> | null {
  const { body } = request;
  if (c.textIn(body, "message") === undefined) return unprocessable(request, "message", "Message can not be empty.");
  if (aliasIn(request).length <= MAX_ALIAS) return null;
  return unprocessable(request, "alias", `must be at most ${MAX_ALIAS} characters long`);
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
function unprocessable({ exchange }: Request, path: string, message: string): Reply<unknown> {
  const error = invalid(path, message);
  return new Reply(422, { ...errorBodyOf(error, exchange), error: { code: error.code, message: error.message } });
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
