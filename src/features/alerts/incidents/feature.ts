import * as v from "valibot";
import { invalidField } from "../../../core/errors.ts";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { Reply } from "../../../http/api/route.ts";
import { doc, example, integer, object, pageOf } from "../../../http/api/shapes.ts";
import { callerOf, holderOf, userOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import * as b from "./changes/action-bodies.ts";
import { CountIncidents, countIncidents, IncidentCounts } from "./counts.ts";
import * as d from "./direct-requests.ts";
import { EarlierIncidents, earlierThan } from "./earlier.ts";
import { IncidentItem } from "./incident.ts";
import { CONTACT_NAMES, type ContactChannel } from "./notices.ts";
import * as s from "./requests.ts";
import { IncidentDetail, ListedIncident } from "./view.ts";
import { forgetWays } from "./way-notices.ts";

const PATH = "/api/v1/incidents";
const tag = "Incidents";

type IncidentsOwn = d.DirectContext & Uses<"clock" | "idempotency">;

declare module "../../../module/feature.ts" {
  interface Offers {
    /** How people want to be notified of incidents, for new accounts. */
    readonly contactRules: {
      readonly schema: v.GenericSchema;
      set(trx: Trx, userId: string, rules: unknown): Promise<void>;
    };
  }
}

/** Incidents, and how people want to be notified of them. */
export const incidentsFeature = feature("incidents", {
  needs: ["projects", "users", "policies", "incidents", "alerts", "withheldBy"],
  open: (context) => ({
    contactRules: {
      schema: ContactRules,
      set: (trx, userId, rules) => setContactRules(context, trx, userId, v.parse(ContactRules, rules)),
    },
  }),
  register(server, context) {
    serveIncidents(server, context);
    serveActions(server, context);
    servePaging(server, context);
    serveContactRules(server, context);
  },
  onUserDeleted: forgetWays,
});

const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
const write = { tag, access: { permission: "incidents:act", within: "project" } } as const;
const errors = ["INCIDENT_NOT_FOUND", "INVALID_STATE"] as const;

function serveIncidents(server: FeatureServer, context: IncidentsOwn): void {
  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listIncidents",
    summary: "List incidents, newest first",
    query: s.ListIncidents,
    response: () => pageOf(ListedIncident()),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => s.listIncidents(context, callerOf(exchange), query),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/counts`,
    id: "countIncidents",
    summary: "Count the unresolved incidents by what they need",
    details: "The segment `counts` takes precedence over the id of an incident.",
    query: CountIncidents,
    response: IncidentCounts,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => countIncidents(context, callerOf(exchange), query),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/:id`,
    id: "getIncident",
    summary: "Get an incident with its alerts, people and timeline",
    params: s.IncidentParams,
    response: IncidentDetail,
    errors: ["INCIDENT_NOT_FOUND"],
    handle: (exchange, { params }) => s.getIncident(context, callerOf(exchange), params.id),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/:id/earlier`,
    id: "getEarlierIncidents",
    summary: "Get how often the same happened before an incident, and the last times",
    params: s.IncidentParams,
    response: EarlierIncidents,
    errors: ["INCIDENT_NOT_FOUND"],
    handle: (exchange, { params }) =>
      earlierThan(context, callerOf(exchange), params.id, context.settings.retention.alertDays),
  });
  const bulk = [
    ["acknowledge", "acknowledgeIncidents", "Acknowledge up to 100 incidents"],
    ["resolve", "resolveIncidents", "Resolve up to 100 incidents"],
  ] as const;
  for (const [action, id, summary] of bulk)
    server.route({
      ...write,
      method: "POST",
      path: `${PATH}/${action}`,
      id,
      summary,
      details: "Each is changed on its own; the answer has the result of each.",
      body: b.BulkBody,
      response: b.BulkView,
      handle: (exchange, { body }) =>
        s.actOnMany(context, callerOf(exchange), body, (incidents, each, actor) => incidents[action](each, actor)),
    });
}

function serveActions(server: FeatureServer, context: IncidentsOwn): void {
  const one = {
    ...write,
    method: "POST",
    params: s.IncidentParams,
    response: () => IncidentItem.View,
    errors,
  } as const;
  const actions = [
    ["acknowledge", "acknowledgeIncident", "Acknowledge an incident: with enough acknowledgements its steps stop"],
    ["unacknowledge", "unacknowledgeIncident", "Remove all acknowledgements; the steps start again"],
    ["unsnooze", "unsnoozeIncident", "End a snooze; the steps start again"],
    ["resolve", "resolveIncident", "Resolve an incident, and the alerts of sources that send no end"],
    ["escalate", "escalateIncident", "Run the next step that notifies now"],
  ] as const;
  for (const [action, id, summary] of actions)
    server.route({
      ...one,
      path: `${PATH}/:id/${action}`,
      id,
      summary,
      body: b.ActBody,
      handle: (exchange, { params, body }) =>
        s.act(
          context,
          callerOf(exchange),
          params.id,
          (incidents, each, actor) =>
            incidents[action](each, actor, action === "unacknowledge" ? { strict: true } : {}),
          { text: body.note },
        ),
    });
  server.route({
    ...one,
    path: `${PATH}/:id/snooze`,
    id: "snoozeIncident",
    summary: "Pause an incident for a time; then its steps start again",
    body: b.SnoozeBody,
    handle(exchange, { params, body }) {
      const now = context.clock.now();
      const until = body.until ?? now + (body.durationMs ?? 0);
      if (until <= now) throw invalidField("body", "until", "must be in the future");
      if (until - now > b.MAX_SNOOZE_MS) throw invalidField("body", "until", "must be within a year");
      const change: s.Act = (incidents, each, actor) => incidents.snooze(each, until, actor);
      return s.act(context, callerOf(exchange), params.id, change, { text: body.note });
    },
  });
  server.route({
    ...one,
    path: `${PATH}/:id/notes`,
    id: "addIncidentNote",
    summary: "Add a note to the timeline of an incident",
    body: b.NoteBody,
    errors: ["INCIDENT_NOT_FOUND", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { params: { id }, body }) {
      const principal = callerOf(exchange);
      const addNote = async (trx: Trx) => {
        const change: s.Act = (incidents, each, actor) => incidents.note(each, body.text, actor, { trx });
        return new Reply(200, await s.act(context, principal, id, change, { db: trx, mayBeResolved: true }));
      };
      return context.idempotency.run(exchange, principal, { id, body }, addNote, {});
    },
  });
}

function servePaging(server: FeatureServer, context: IncidentsOwn): void {
  const { idempotency } = context;
  const paging = { ...write, method: "POST", response: () => IncidentItem.View } as const;
  const refusals = ["RECIPIENT_NOT_FOUND", ...IDEMPOTENCY_ERRORS] as const;
  const ofIncident = { ...paging, params: s.IncidentParams, errors: [...errors, ...refusals] } as const;
  server.route({
    ...paging,
    path: PATH,
    id: "pagePeople",
    summary: "Page people: opens an incident without alerts",
    details:
      "It is repeated until a person acknowledges it, and only a person resolves it. Those named are paged now; after " +
      "10 minutes without an acknowledgement the steps of the policy start.",
    body: d.PageBody,
    status: 201,
    errors: ["PROJECT_NOT_FOUND", "POLICY_NOT_FOUND", ...refusals],
    handle(exchange, { body }) {
      const principal = holderOf(exchange);
      const page = async (trx: Trx) => new Reply(201, await d.pagePeople(context, principal, body, trx));
      return idempotency.run(exchange, principal, body, page, {});
    },
  });
  server.route({
    ...ofIncident,
    path: `${PATH}/:id/responders`,
    id: "addResponders",
    summary: "Page further people of an incident now, in any state but resolved",
    body: d.RespondersBody,
    handle(exchange, { params: { id }, body }) {
      const principal = holderOf(exchange);
      const add = async (trx: Trx) =>
        new Reply(200, await d.pageFor(context, principal, id, "addResponders", body, trx));
      return idempotency.run(exchange, principal, { id, body }, add, {});
    },
  });
  server.route({
    ...ofIncident,
    path: `${PATH}/:id/reassign`,
    id: "reassignIncident",
    summary: "Assign an incident to others, who are paged now in place of the users notified before",
    details:
      "Acknowledgements and a snooze end. After 10 minutes without an acknowledgement the steps of the policy start.",
    body: d.ReassignBody,
    handle(exchange, { params: { id }, body }) {
      const principal = holderOf(exchange);
      const change = async (trx: Trx) => new Reply(200, await d.pageFor(context, principal, id, "reassign", body, trx));
      return idempotency.run(exchange, principal, { id, body }, change, {});
    },
  });
}

const YEAR_MS = 31_536_000_000;
const Rules = v.pipe(
  v.array(
    object({
      afterMs: doc(integer(0, YEAR_MS), "Delay after the step; it ends when the incident is acknowledged"),
      channels: doc(v.pipe(v.array(v.picklist(CONTACT_NAMES)), v.minLength(1), v.maxLength(4)), "Channels to use"),
    }),
  ),
  v.maxLength(10),
);
const ContactRules = example(
  object({
    high: doc(Rules, "For steps of high urgency; none: the preferences, at once"),
    low: doc(Rules, "For steps of low urgency"),
  }),
  {
    high: [
      { afterMs: 0, channels: ["push"] },
      { afterMs: 300_000, channels: ["email"] },
    ],
    low: [],
  },
);
type ContactRules = v.InferOutput<typeof ContactRules>;

type ContactContext = Uses<"db" | "audit">;

function serveContactRules(server: FeatureServer, context: ContactContext): void {
  const own = {
    tag: "Users",
    path: "/api/v1/users/me/contact-rules",
    access: { tokenScopes: ["account:own"] },
  } as const;
  const response = v.object({ ...ContactRules.entries });
  server.route({
    ...own,
    method: "GET",
    id: "getContactRules",
    summary: "Get how the caller is notified of incidents",
    returns: "The rules by urgency, in order",
    response,
    handle: (exchange) => contactRulesOf(context.db.read, userOf(exchange).userId),
  });
  server.route({
    ...own,
    method: "PUT",
    id: "setContactRules",
    summary: "Set how the caller is notified of incidents",
    returns: "The rules by urgency, in order",
    body: ContactRules,
    response: v.object({ ...ContactRules.entries, warnings: contactWarnings }),
    async handle(exchange, { body }) {
      const { userId } = userOf(exchange);
      await context.db.write((trx) => setContactRules(context, trx, userId, body));
      return { ...(await contactRulesOf(context.db.read, userId)), warnings: warningsOf(body) };
    },
  });
}

const contactWarnings = v.array(v.object({ code: v.literal("no-outside-way"), message: v.string() }));

/** Rules that keep pages in the app: the person counts as one without a way. */
function warningsOf({ high }: ContactRules): v.InferOutput<typeof contactWarnings> {
  const isOutside = high.some(({ channels }) => channels.some((each) => each !== "in_app"));
  if (high.length === 0 || isOutside) return [];
  const message =
    "No rule for high urgency has a channel outside of the app: you are not paged, and others are instead";
  return [{ code: "no-outside-way", message }];
}

async function contactRulesOf(db: ReadDb, userId: string): Promise<ContactRules> {
  const rows = await db
    .selectFrom("contact_rules")
    .selectAll()
    .where("userId", "=", userId)
    .orderBy("urgency")
    .orderBy("position")
    .execute();
  const of = (urgency: "high" | "low") =>
    rows
      .filter((row) => row.urgency === urgency)
      .map(({ afterMs, channels }) => ({ afterMs, channels: JSON.parse(channels) as ContactChannel[] }));
  return { high: of("high"), low: of("low") };
}

async function setContactRules(
  { audit }: Pick<ContactContext, "audit">,
  trx: Trx,
  userId: string,
  given: ContactRules,
): Promise<void> {
  const rows = (["high", "low"] as const).flatMap((urgency) =>
    given[urgency].map(({ afterMs, channels }, position) => {
      return { userId, urgency, position, afterMs, channels: JSON.stringify([...new Set(channels)]) };
    }),
  );
  await trx.deleteFrom("contact_rules").where("userId", "=", userId).execute();
  if (rows.length > 0) await trx.insertInto("contact_rules").values(rows).execute();
  addEffect(trx, { type: "ways-changed", userId });
  const metadata = { high: given.high.length, low: given.low.length };
  await audit.record({ action: "user.contact_rules", resourceType: "user", resourceId: userId, metadata }, { trx });
}
