import { sql } from "kysely";
import { DAY_MS, utcDate } from "../../core/time/clock.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import { type Context, type FeatureServer, feature } from "../../module/feature.ts";
import { daysBefore, sweepRows } from "../../store/retention.ts";
import { ReportCollector } from "./collector.ts";
import { PostMortem, PostMortemParams } from "./post-mortem-schema.ts";
import * as s from "./schema.ts";

declare module "../../module/feature.ts" {
  interface Offers {
    readonly reports: ReportCollector;
  }
}

type ServedContext = Context<
  | "projects"
  | "users"
  | "policies"
  | "incidents"
  | "alerts"
  | "withheldBy"
  | "steadyClock"
  | "reports"
  | "explainIncident"
  | "runner"
  | "jobs"
  | "schedules"
  | "notify"
>;

const PATH = "/api/v1/reports";
const IS_OF_DELETED = sql<boolean>`projectId in (select id from projects where deletedAt is not null)`;

/** How incidents went and whom they woke: facts of their ends, days of people, and reports about both. */
export const reportsFeature = feature("reports", {
  needs: ["projects", "users", "policies", "incidents", "alerts", "withheldBy", "steadyClock"],
  uses: ["explainIncident", "runner", "jobs", "schedules", "notify"],
  open: (context) => ({ reports: new ReportCollector(context) }),
  async register(server, context) {
    serve(server, context);
    await (await import("./weekly.ts")).startWeekly(context);
  },
  start: ({ reports }) => reports.start(),
  stop: ({ reports }) => reports.stop(),
  async onUserDeleted(trx, userId) {
    await trx.updateTable("incident_facts").set({ firstAckBy: null }).where("firstAckBy", "=", userId).execute();
    await trx.deleteFrom("person_days").where("userId", "=", userId).execute();
  },
  sweeps: ({ settings }) => {
    const days = () => settings.retention.reportDays;
    return [
      sweepRows("incident_facts", (db, now) =>
        db
          .selectFrom("incident_facts")
          .select("incidentId")
          .where((e) => e.or([e("openedAt", "<=", daysBefore(now, days())), IS_OF_DELETED])),
      ),
      sweepRows("incident_days", (db, now) =>
        db
          .selectFrom("incident_days")
          .select(["projectId", "day", "policy", "severity", "key"])
          .where((e) => e.or([e("day", "<", Math.floor(daysBefore(now, days()) / DAY_MS)), IS_OF_DELETED])),
      ),
      sweepRows("person_days", (db, now) =>
        db
          .selectFrom("person_days")
          .select(["userId", "day", "projectId"])
          .where((e) => e.or([e("day", "<", utcDate(Math.max(0, daysBefore(now, days())))), IS_OF_DELETED])),
      ),
    ];
  },
});

function serve(server: FeatureServer, context: ServedContext): void {
  const read = { tag: "Reports", method: "GET", access: { permission: "events:read", within: "project" } } as const;
  const ofKeys = { ...read, access: { ...read.access, keyScope: "events:read" } } as const;
  const errors = ["PROJECT_NOT_FOUND"] as const;
  const details = "An incident is counted from a minute after its end on, for `retention.reportDays`.";
  server.route({
    ...{ ...ofKeys, details, errors, path: `${PATH}/incidents`, id: "reportIncidents" },
    summary: "Report how many incidents there were, and how long people took",
    query: s.IncidentsQuery,
    response: s.IncidentsReport,
    handle: async (exchange, { query }) =>
      (await import("./incidents-report.ts")).incidentsReport(context, callerOf(exchange), query),
  });
  server.route({
    ...{ ...read, errors, path: `${PATH}/people`, id: "reportPeople" },
    summary: "Report the load of people: time on call, pages by day and night, sleep breaks",
    details:
      "Everyone sees the own load. By `reports.people` owners see that of the people of their projects, as does " +
      "the permission `notifications:read_all`; `off` refuses all.",
    query: s.RangeQuery,
    response: s.PeopleReport,
    handle: async (exchange, { query }) =>
      (await import("./people-report.ts")).peopleReport(context, holderOf(exchange), query),
  });
  server.route({
    ...{ ...ofKeys, details, errors, path: `${PATH}/noise`, id: "reportNoise" },
    summary: "Report what pages most, and what would have saved pages",
    query: s.RangeQuery,
    response: s.NoiseReport,
    handle: async (exchange, { query }) => (await import("./noise.ts")).noiseReport(context, callerOf(exchange), query),
  });
  server.route({
    ...{ ...ofKeys, errors, path: `${PATH}/schedules`, id: "reportSchedules" },
    summary: "Report on-call schedules: pages per shift, gaps, shares of the time",
    query: s.RangeQuery,
    response: s.SchedulesReport,
    handle: async (exchange, { query }) =>
      (await import("./schedules-report.ts")).schedulesReport(context, callerOf(exchange), query),
  });
  server.route({
    ...{ ...read, tag: "Incidents", path: "/api/v1/incidents/:id/post-mortem", id: "getPostMortem" },
    summary: "Get an incident as the beginning of a post-mortem",
    details: "`markdown` is the text, by the template of `reports.postMortem`.",
    params: PostMortemParams,
    response: PostMortem,
    errors: ["INCIDENT_NOT_FOUND"],
    handle: async (exchange, { params }) =>
      (await import("./post-mortem.ts")).postMortemOf(context, holderOf(exchange), params.id),
  });
}
