import { pageOf } from "../../../http/api/shapes.ts";
import { callerOf, holderOf, userOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { DUE_EVENT } from "../index.ts";
import { Drills } from "./drills.ts";
import { drillFindings } from "./findings.ts";
import type { DrillContext } from "./requests.ts";
import * as requests from "./requests.ts";
import { DRILL_SWEEPS } from "./retention.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/drills";
const tag = "On-call";
/** For oneself; the handler asks for more about others. */
const member = { tag, access: { permission: "events:read", within: "project" } } as const;
const own = { tag, access: { tokenScopes: ["account:own"] } } as const;

declare module "../../../module/feature.ts" {
  interface Offers {
    drills: Drills;
  }
}

/** Test pages to people: `prism drill`. */
export const drillFeature = feature("drill", {
  needs: ["projects", "notify", "users", "pages", "pagePeople", "waysOf"],
  findings: drillFindings,
  open: ({ db, clock, log, audit, notify, users, projects, pages, pagePeople, waysOf, settings }) => ({
    drills: new Drills({
      ...{ db, clock, audit, notify, users, projects, pages, pagePeople, waysOf },
      log: log.namespace("drill"),
      settings: () => settings.current,
    }),
  }),
  dueWork: ({ drills }) => [drills.plan.due],
  register(server, { drills, projects, events }) {
    const { plan } = drills;
    events.on("system:reloaded", () => plan.changed());
    events.on(DUE_EVENT, () => plan.changed());
    events.on("user:rights-changed", () => plan.changed());
    // It may be a mirror, or none any more.
    events.on("project:changed", () => plan.changed());
    const context = { ...drills.parts, projects, drills };
    serveDrills(server, context);
    serveProofs(server, context);
  },
  sweeps: () => DRILL_SWEEPS,
});

function serveDrills(server: FeatureServer, context: DrillContext): void {
  server.route({
    ...member,
    method: "POST",
    path: PATH,
    id: "startDrills",
    summary: "Send test pages to the caller, or to named people",
    details:
      "By each way that pages of high urgency use, marked as a drill. A tap on the link of the message proves that way. " +
      "For others `oncall:write` is needed in a project of theirs that is no mirror. At most 6 drills of a person in an hour.",
    body: s.StartDrills,
    status: 202,
    response: s.StartedDrills,
    errors: ["RECIPIENT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_STATE"],
    handle: (exchange, { body }) =>
      context.db.write((trx) => requests.startDrills(context, holderOf(exchange), body, trx)),
  });
  server.route({
    ...member,
    method: "GET",
    path: PATH,
    id: "listDrills",
    summary: "List drills, newest first",
    details: "Of the caller, and those that the caller started; with `oncall:write` in all projects every drill.",
    query: s.ListDrills,
    response: pageOf(s.DrillView),
    errors: ["INVALID_CURSOR"],
    handle: (exchange, { query }) => requests.listDrills(context, holderOf(exchange), query),
  });
  server.route({
    ...own,
    method: "GET",
    path: `${PATH}/ways`,
    id: "listOwnWays",
    summary: "List the channels and addresses by which pages of high urgency reach the caller, with results of drills",
    response: s.OwnWays,
    handle: (exchange) => requests.readOwnWays(context, userOf(exchange)),
  });
  server.route({
    ...own,
    method: "GET",
    path: `${PATH}/preferences`,
    id: "getDrillPreferences",
    summary: "Get when the caller has weekly drills",
    response: s.DrillPreferences,
    handle: (exchange) => requests.readPreferences(context, userOf(exchange)),
  });
  server.route({
    ...own,
    method: "PUT",
    path: `${PATH}/preferences`,
    id: "updateDrillPreferences",
    summary: "Change whether and when the caller has weekly drills",
    body: s.UpdateDrillPreferences,
    response: s.DrillPreferences,
    handle: (exchange, { body }) => requests.updatePreferences(context, userOf(exchange), body),
  });
  server.route({
    ...member,
    method: "GET",
    path: `${PATH}/:id`,
    id: "getDrill",
    summary: "Get a drill with the result of each message",
    params: s.DrillParams,
    response: s.DrillView,
    errors: ["DRILL_NOT_FOUND"],
    handle: (exchange, { params }) => requests.readDrill(context, holderOf(exchange), params.id),
  });
}

function serveProofs(server: FeatureServer, context: DrillContext): void {
  server.route({
    tag,
    access: { permission: "events:read", within: "project", keyScope: "events:read" },
    method: "GET",
    path: "/api/v1/oncall/proofs",
    id: "listOnCallProofs",
    summary: "List who is on call within 7 days, and whether drills have proven that pages reach them",
    query: s.ProofsQuery,
    response: s.Proofs,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => requests.readProofs(context, callerOf(exchange), query),
  });
}
