import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { withoutStateMark } from "../../../core/text/plain-text.ts";
import { Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { type JsonMembers, parseJson } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { LabelRecord } from "../../alerts/index.ts";
import { appendEvents } from "../../events/index.ts";
import * as c from "./context.ts";
import type { Integration } from "./integrations.ts";

/** PagerDuty's limit of an event. */
const MAX_BODY_BYTES = 524_288;
const MAX_DEDUP_KEY = 255;
const MAX_SUMMARY = 1024;
const MAX_DETAILS = 32_768;
const KEY_LENGTH = 32;
const ACTIONS = ["trigger", "acknowledge", "resolve"];
const SEVERITIES = ["critical", "warning", "error", "info"];

/** PagerDuty's Events API v2 and v1: any program with a URL setting for PagerDuty sends alerts. */
export function pagerDutyRoutes(context: c.ProtocolContext): Route[] {
  const { kernel } = context;
  for (const prefix of ["/v2/enqueue", "/v2/change/", "/generic/"])
    kernel.addDialect({ prefix, errorBody: errorBodyOf });
  const serve = (path: string, summary: string, handle: (exchange: Exchange, event: JsonMembers) => Promise<Done>) =>
    route({
      method: "POST",
      path,
      summary,
      tag: "PagerDuty",
      // The body has the key.
      access: "public",
      body: v.unknown(),
      // curl sends JSON as a form, and PagerDuty reads it.
      raw: { types: ["*"], gzip: false, exact: true },
      maxBodyBytes: MAX_BODY_BYTES,
      undocumented: true,
      response: undescribed,
      errors: ["VALIDATION_FAILED", "MALFORMED_JSON", "STORAGE_FULL", "STORAGE_LIMIT_REACHED"],
      async handle(exchange, { body }) {
        const bytes = c.keptBytes(context, body);
        const { integration, reply } = await handle(exchange, c.requireObject(parseJson(body as Buffer, { exchange })));
        await c.passOn(context, integration, exchange, bytes);
        return reply;
      },
    });
  return [
    serve("/v2/enqueue", "Trigger, acknowledge or resolve an alert", (exchange, event) =>
      enqueue(context, exchange, event),
    ),
    serve("/v2/change/enqueue", "Report a change", (_, event) => enqueueChange(context, event)),
    serve("/generic/2010-04-15/create_event.json", "Events API v1", (exchange, event) =>
      createEvent(context, exchange, event),
    ),
  ];
}

/** The members of an error for PagerDuty's clients. */
function errorBodyOf({ code, message, details = [] }: PrismError): object {
  const status = STATUS_OF[code];
  if (status === 429)
    return {
      status: "throttle exceeded",
      message: "Requests for this service are arriving too quickly. Please retry later.",
    };
  const errors = code === "VALIDATION_FAILED" && details.length > 0 ? details.map((each) => each.message) : [message];
  if (status < 500) return { status: "invalid event", message: "Event object is invalid", errors };
  return { status: "error", message: code === "INTERNAL" ? "Internal error" : message };
}

/** Problem of an event. */
class Problems {
  readonly #texts: string[] = [];

  add(text: string): undefined {
    this.#texts.push(text);
    return undefined;
  }

  /** @throws VALIDATION_FAILED if there is any */
  refuse(): void {
    if (this.#texts.length === 0) return;
    const details = this.#texts.map((message) => ({ code: "VALUE", message }));
    throw new PrismError("VALIDATION_FAILED", "Event object is invalid", { details });
  }

  required(object: JsonMembers, name: string): string {
    return c.textIn(object, name) ?? this.add(`'${name}' is missing or blank`) ?? "";
  }

  oneOf(object: JsonMembers, name: string, values: readonly string[]): string {
    const text = this.required(object, name);
    const list = values.map((each) => `'${each}'`).join(", ");
    if (text !== "" && !values.includes(text)) this.add(`'${name}' is invalid (must be one of the following: ${list})`);
    return text;
  }

  object(parent: JsonMembers, name: string): JsonMembers {
    const value = parent[name];
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonMembers;
    this.add(`'${name}' is missing or blank`);
    return {};
  }
}

/** An accepted event. */
interface Done {
  readonly integration: Integration;
  readonly reply: Reply<unknown>;
}

/** An event of either version. */
interface PagerDutyEvent {
  readonly integration: Integration;
  readonly action: string;
  readonly dedupKey: string;
  readonly labels: LabelRecord;
  readonly annotations: LabelRecord;
  readonly link: string | null;
  readonly timestamp: string | undefined;
}

async function enqueue(context: c.ProtocolContext, exchange: Exchange, event: JsonMembers): Promise<Done> {
  const problems = new Problems();
  const key = problems.required(event, "routing_key");
  const action = problems.oneOf(event, "event_action", ACTIONS);
  const dedupKey = dedupKeyOf(problems, event, "dedup_key", action);
  const payload = action === "trigger" ? problems.object(event, "payload") : {};
  if (action === "trigger" && payload !== event["payload"]) problems.refuse();
  const summary = action === "trigger" ? summaryOf(problems.required(payload, "summary")) : "";
  const source = action === "trigger" ? problems.required(payload, "source") : "";
  const severity = action === "trigger" ? problems.oneOf(payload, "severity", SEVERITIES) : "";
  const integration = integrationOf(context, problems, key, "routing_key");
  exchange.projectId = integration.projectId;
  const { component, group, class: kind } = textsOf(payload, ["component", "group", "class"]);
  await perform(context, {
    integration,
    action,
    dedupKey,
    labels: c.present({ alertname: summary, severity, source, component, group, class: kind }),
    annotations: c.present({
      summary,
      details: detailsOf(payload["custom_details"]),
      client: c.textIn(event, "client"),
      links: detailsOf(listIn(event, "links")),
      images: detailsOf(listIn(event, "images")),
    }),
    link: c.linkIn(event, "client_url"),
    timestamp: c.textIn(payload, "timestamp"),
  });
  const reply = new Reply(202, { status: "success", message: "Event processed", dedup_key: dedupKey });
  return { integration, reply };
}

async function createEvent(context: c.ProtocolContext, exchange: Exchange, event: JsonMembers): Promise<Done> {
  const problems = new Problems();
  const key = problems.required(event, "service_key");
  const action = problems.oneOf(event, "event_type", ACTIONS);
  const dedupKey = dedupKeyOf(problems, event, "incident_key", action);
  const summary = action === "trigger" ? summaryOf(problems.required(event, "description")) : "";
  const integration = integrationOf(context, problems, key, "service_key");
  exchange.projectId = integration.projectId;
  await perform(context, {
    integration,
    action,
    dedupKey,
    labels: { alertname: summary },
    annotations: c.present({
      summary,
      details: detailsOf(event["details"]),
      client: c.textIn(event, "client"),
      links: detailsOf(listIn(event, "contexts")),
    }),
    link: c.linkIn(event, "client_url"),
    timestamp: undefined,
  });
  const reply = new Reply(200, { status: "success", message: "Event processed", incident_key: dedupKey });
  return { integration, reply };
}

function summaryOf(text: string): string {
  return startOf(withoutStateMark(text), MAX_SUMMARY);
}

/** A change is an event of the project and opens no alert. */
async function enqueueChange(context: c.ProtocolContext, event: JsonMembers): Promise<Done> {
  const problems = new Problems();
  const key = problems.required(event, "routing_key");
  const payload = problems.object(event, "payload");
  if (payload === event["payload"]) problems.required(payload, "summary");
  const integration = integrationOf(context, problems, key, "routing_key");
  const { projectId, id, name } = integration;
  const change = { integrationId: id, integration: name, ...payload, links: listIn(event, "links") ?? [] };
  const { db, clock, projects } = context;
  projects.storage.requireRoom(projectId);
  await db.write((trx) =>
    appendEvents(trx, [{ projectId, type: "change", level: "info", payload: change }], {
      source: "pagerduty",
      now: clock.now(),
    }),
  );
  context.integrations.count("pagerduty", "accepted");
  return { integration, reply: new Reply(202, { status: "success", message: "Change event processed" }) };
}

async function perform(context: c.ProtocolContext, event: PagerDutyEvent): Promise<void> {
  const { integration, action, dedupKey, labels, annotations, link, timestamp } = event;
  const { alerts, clock, incidents, integrations } = context;
  const key = `pd:${integration.id}:${dedupKey}`;
  const live = alerts.byKey(integration.projectId, key);
  if (action === "resolve") await c.resolveAlert(context, integration, key);
  else if (action === "acknowledge") {
    // PagerDuty accepts and drops what names no open alert.
    if (live) await c.actOnIncidents(context, integration, live.id, (...given) => incidents.acknowledge(...given));
  } else {
    const startsAt = c.pastInstant(timestamp, clock.now());
    const known = { ...(link !== null && { generatorUrl: link }), ...(startsAt !== undefined && { startsAt }) };
    await c.fire(context, integration, key, { labels, annotations, ...known }, { ratesAgain: true });
  }
  integrations.count("pagerduty", "accepted");
}

function dedupKeyOf(problems: Problems, event: JsonMembers, name: string, action: string): string {
  const isRequired = action === "acknowledge" || action === "resolve";
  const given = isRequired ? problems.required(event, name) : c.textIn(event, name);
  if ((given ?? "").length > MAX_DEDUP_KEY)
    problems.add(`Length of '${name}' is too long (at most ${MAX_DEDUP_KEY} characters)`);
  return given ?? randomBytes(KEY_LENGTH / 2).toString("hex");
}

/** After all other checks, so that each problem is in the answer. @throws VALIDATION_FAILED */
function integrationOf(context: c.ProtocolContext, problems: Problems, key: string, name: string): Integration {
  if (key !== "" && key.length !== KEY_LENGTH)
    problems.add(`Length of '${name}' is incorrect (should be ${KEY_LENGTH} characters)`);
  const integration = key.length === KEY_LENGTH ? context.integrations.use("pagerduty", key) : null;
  if (key.length === KEY_LENGTH && !integration) problems.add("Invalid routing key");
  problems.refuse();
  if (!integration) throw new PrismError("VALIDATION_FAILED", "Invalid routing key");
  return integration;
}

function textsOf(object: JsonMembers, names: readonly string[]): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(names.map((name) => [name, c.textIn(object, name)]));
}

function listIn(object: JsonMembers, name: string): readonly unknown[] | undefined {
  const value = object[name];
  return Array.isArray(value) && value.length > 0 ? value : undefined;
}

/** Details for people: a text as it is, anything else as JSON. */
function detailsOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  return startOf(typeof value === "string" ? value : JSON.stringify(value), MAX_DETAILS);
}
