import type { Principal } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { pageOf } from "../../http/api/shapes.ts";
import type { Trx } from "../../store/database.ts";
import { managed } from "../access/index.ts";
import type { HeartbeatsContext } from "./changes.ts";
import * as changes from "./changes.ts";
import { checkFedBy } from "./feeds.ts";
import { Heartbeat, type HeartbeatDefinition, type HeartbeatRow } from "./heartbeat.ts";
import type { GivenIds } from "./heartbeats.ts";
import * as s from "./schema.ts";
import * as table from "./table.ts";
import { heartbeatAccess } from "./table.ts";

export const PATH = "/api/v1/heartbeats";
const tag = "Heartbeats";
const PLAN_ERRORS = ["INVALID_CRON", "INVALID_TIMEZONE", "NAME_TAKEN"] as const;

export const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
export const write = { tag, access: { permission: "heartbeats:write", within: "project" } } as const;

interface NewHeartbeat extends GivenIds {
  readonly projectId: string;
  readonly definition: HeartbeatDefinition;
}

export const heartbeats = managed({
  ...{ path: PATH, names: ["Heartbeat", "Heartbeats"], tag, params: s.HeartbeatParams },
  access: heartbeatAccess,
  callers: { read: read.access, write: write.access },
  answer: () => Heartbeat.View,
  list: {
    summary: "List heartbeats, newest first",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListHeartbeats,
    answer: () => pageOf(Heartbeat.View),
    page: listPage,
  },
  get: { summary: "Get a heartbeat" },
  create: {
    summary: "Create a heartbeat; its ping URL is in the answer",
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...PLAN_ERRORS],
    body: s.CreateHeartbeat,
    storesAnswer: { sharesCommit: true, hasSecrets: true },
    async prepare({ projects }: HeartbeatsContext, caller, { projectId: ref, ...input }): Promise<NewHeartbeat> {
      const projectId = projects.requireOrDefault(caller, ref, "heartbeats:write");
      return { projectId, definition: await definitionIn(input) };
    },
  },
  update: {
    summary: "Update a heartbeat; absent members keep their values",
    errors: PLAN_ERRORS,
    body: s.UpdateHeartbeat,
    prepare: (_context, _caller, body) => definitionIn(body),
  },
  remove: { summary: "Delete a heartbeat with its pings; its alert is resolved", errors: ["VERSION_CONFLICT"] },
  view: viewFor,
  // Status and times change without a new version, and the ping URL depends on the caller.
  state: ({ pingUrl, status: shown, pingCount, lastStartAt }) => ({ pingUrl, shown, pingCount, lastStartAt }),
  in: {
    async insert(context, trx, { userId: createdBy }, { projectId, definition, ...given }) {
      await requireFreeSlug(trx, projectId, definition.slug);
      if (given.ping !== undefined) await changes.requireFreePing(context, trx, given.ping);
      return { row: await changes.createHeartbeat(context, trx, projectId, definition, { createdBy, ...given }) };
    },
    async change(context, trx, row, definition) {
      if (definition.slug !== row.slug) await requireFreeSlug(trx, row.projectId, definition.slug);
      return { row: await changes.updateHeartbeat(context, trx, row, definition) };
    },
    remove: changes.deleteHeartbeat,
  },
});

/** The columns of a request. `fedBy` is checked outside of a transaction, as compiling takes a while. */
async function definitionIn(input: s.UpdateHeartbeat): Promise<HeartbeatDefinition> {
  const definition = s.definitionOf(input);
  if (definition.fedBy != null) await checkFedBy(definition.fedBy);
  return definition;
}

function viewFor(context: HeartbeatsContext, caller: Principal, row: HeartbeatRow) {
  return s.heartbeatView(context, row, context.projects.has(caller, row.projectId, "heartbeats:write"));
}

function listPage(context: HeartbeatsContext, caller: Principal, { projectId, pings, ...query }: s.ListHeartbeats) {
  const { db, projects } = context;
  const projectIds = projects.readable(caller, "events:read", projectId);
  const scope = { visible: ofProjects(projectIds), state: context.heartbeats.moment };
  return table.heartbeatList.page(db, scope, query, async (rows) => {
    const recent = new Map<string, readonly table.PingListRow[]>();
    for (const row of pings === undefined ? [] : rows)
      recent.set(row.id, await table.pingsOf(db.read, row, undefined, pings));
    return (row) => {
      const recentPings = recent.get(row.id)?.map(s.recentPingView);
      return { ...viewFor(context, caller, row), ...(recentPings && { recentPings }) };
    };
  });
}

/** @throws NAME_TAKEN: pings by an ambiguous slug would be refused */
async function requireFreeSlug(trx: Trx, projectId: string, slug: string | undefined): Promise<void> {
  if (slug === undefined || slug === "" || (await table.findBySlug(trx, projectId, slug)).length === 0) return;
  const details = [{ path: "slug", code: "NAME_TAKEN", message: "another heartbeat of the project has this slug" }];
  throw new PrismError("NAME_TAKEN", "Another heartbeat of the project has this slug", { details });
}
