import { OwnerTurns } from "../../core/limits/owner-turns.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import { feature } from "../../module/feature.ts";
import { addEffect } from "../../store/database.ts";
import { daysBefore, sweepRows } from "../../store/retention.ts";
import { mirrorFindings } from "./findings.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/mirror";
const tag = "Projects";
/** A row of a report is read, besides the steps in which it is compared. */
const STEPS_PER_ROW = 20;

/** Those of deleted projects name people, too. */
export const MIRROR_SWEEPS = [
  sweepRows(
    "mirror_observed",
    (db, now) =>
      db
        .selectFrom("mirror_observed")
        .select(["projectId", "ref"])
        .where(({ eb, or, selectFrom }) =>
          or([
            eb("at", "<=", daysBefore(now, s.KEPT_DAYS)),
            eb("projectId", "in", selectFrom("projects").select("id").where("deletedAt", "is not", null)),
          ]),
        ),
    {
      async remove(trx, keys) {
        for (const { projectId, ref } of keys)
          await trx.deleteFrom("mirror_observed").where("projectId", "=", projectId).where("ref", "=", ref).execute();
        addEffect(trx, { type: "texts-changed", projectIds: [...new Set(keys.map(({ projectId }) => projectId))] });
      },
    },
  ),
];

/** A project beside the system in use: what that one was seen to do, and how Prism differs. */
export const mirrorFeature = feature("mirror", {
  needs: ["projects", "alerts", "incidents"],
  findings: mirrorFindings,
  sweeps: () => MIRROR_SWEEPS,
  register(server, context) {
    const reports = new OwnerTurns({ total: 2, perOwner: 1 });
    server.route({
      ...{ tag, method: "POST", path: `${PATH}/observed`, id: "addMirrorObservations" },
      summary: "Report what the system beside a mirror project did",
      details:
        "The body is a list of observations, or the webhook of an Alertmanager beside it: one receiver for each of its " +
        "receivers, with `person` or `way` in the URL. Of a mirror project, by a key of it with the scope `mirror:observe`; " +
        "users are refused.",
      access: { keyScope: "mirror:observe" },
      maxBodyBytes: context.config.ingest.maxBodyBytes,
      maxMembers: 200_000,
      query: s.ObservedQuery,
      body: s.ObservedBody,
      status: 200,
      response: s.ObservedReply,
      errors: ["PROJECT_NOT_FOUND", "INVALID_STATE", "STORAGE_LIMIT_REACHED"],
      handle: async (exchange, { body, query }) =>
        (await import("./observed.ts")).takeObserved(context, callerOf(exchange), body, query),
    });
    server.route({
      ...{ tag, method: "GET", path: `${PATH}/report`, id: "getMirrorReport" },
      summary: "Compare a mirror project with the system beside it",
      access: { permission: "events:read", within: "project" },
      query: s.ReportQuery,
      response: s.MirrorReport,
      errors: ["PROJECT_NOT_FOUND"],
      handle: async (exchange, { query }) =>
        (await import("./report.ts")).mirrorReport(context, holderOf(exchange), query, {
          turns: reports,
          charge: (rows, steps) => exchange.work?.charge(exchange, { steps: rows * STEPS_PER_ROW + steps }),
        }),
    });
  },
});
