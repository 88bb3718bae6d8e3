import { callerOf, holderOf } from "../../../http/server/access.ts";
import { feature } from "../../../module/feature.ts";
import { attentionFor, everything } from "./attention.ts";
import { EventStatsQuery, EventStatsView, eventStats } from "./event-stats.ts";
import { grouped } from "./grouped.ts";
import { AttentionQuery, AttentionView, StatsQuery, StatsView } from "./schema.ts";
import { Stats } from "./stats.ts";

const tag = "Operations";

/** Figures over time, and what needs attention: the first page of the console. */
export const overviewFeature = feature("overview", {
  needs: ["projects", "pages", "alerts", "withheldBy", "findings", "countJobs", "policies", "onCall"],
  register(server, parts) {
    const stats = new Stats(parts);
    server.route({
      method: "GET",
      path: "/api/v1/stats",
      id: "getStats",
      summary: "Get figures of events, notifications, deliveries and jobs over time",
      details:
        "Events and notifications are those that the caller may read; deliveries need `system:status`, jobs " +
        "`jobs:read`. With `projectId` only events and notifications are counted.",
      tag,
      access: {
        tokenScopes: ["events:read", "notifications:own", "notifications:read_all", "jobs:read", "system:status"],
      },
      query: StatsQuery,
      response: StatsView,
      errors: ["PROJECT_NOT_FOUND", "UNAUTHORIZED_ROLE"],
      handle: (exchange, { query }) => stats.read(holderOf(exchange), query),
    });
    server.route({
      method: "GET",
      path: "/api/v1/events/stats",
      id: "getEventStats",
      summary: "Count the received events of a project by hour, day or week, and by type, level or source",
      details: "At most 200 buckets. The segment `stats` takes precedence over the id of an event.",
      tag: "Events",
      access: { permission: "events:read", within: "project", keyScope: "events:read" },
      query: EventStatsQuery,
      response: EventStatsView,
      errors: ["PROJECT_NOT_FOUND"],
      handle: (exchange, { query }) => eventStats(parts, callerOf(exchange), query),
    });
    server.route({
      method: "GET",
      path: "/api/v1/attention",
      id: "getAttention",
      summary:
        "List what needs attention first: open incidents, unacknowledged notifications, gaps on call, paused channels, dead jobs and the like",
      details: "Only what the caller may see. `streams` names the live entries after which to ask again.",
      query: AttentionQuery,
      tag,
      access: {
        tokenScopes: [
          "events:read",
          "notifications:own",
          "notifications:read_all",
          "jobs:read",
          "system:status",
          "users:approve",
        ],
      },
      response: AttentionView,
      handle: (exchange, { query }) => attentionFor(parts, holderOf(exchange), query.grouped ? grouped : everything),
    });
  },
});
