import { sql } from "kysely";
import { feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { appendOwnEvents } from "../events/index.ts";
import { Heartbeats } from "./heartbeats.ts";
import { PingIds, pingKeySealContext, pingSealContext } from "./ping-ids.ts";
import { registerHeartbeats } from "./routes.ts";
import { HEARTBEAT_SWEEPS } from "./table.ts";

declare module "../../module/feature.ts" {
  interface Offers {
    heartbeats: Heartbeats;
  }
}

/** Jobs that report that they ran, and are overdue when they do not. */
export const heartbeats = feature("heartbeats", {
  needs: ["projects", "principals", "alerts"],
  open: ({ db, clock, log, metrics, box, auditKey, projects, alerts }) => ({
    heartbeats: new Heartbeats({
      ...{ db, metrics, projects },
      log: log.namespace("heartbeats"),
      wall: clock,
      ids: new PingIds(auditKey, box),
      submitAlerts: (inputs, options) => alerts.submit(inputs, options),
      alerts: {
        listen: (fn) => alerts.whenRepeated(fn),
        findAlert: (id) => alerts.find(id),
        firing: (projectId, filter) => alerts.list(projectId, filter),
      },
      appendEvents: (trx, events) => appendOwnEvents(trx, events, { source: "prism:heartbeats", now: clock.now() }),
    }),
  }),
  effects: (context) => ({
    "heartbeats-changed": ({ heartbeats }) => context.heartbeats.changed(heartbeats),
    "heartbeats-fed": ({ heartbeats }) => context.heartbeats.feeds.changed(heartbeats),
    "alerts-changed": ({ alerts = [] }) => context.heartbeats.feeds.alertsChanged(alerts),
  }),
  load: (context) => context.heartbeats.load(),
  dueWork: (context) => [context.heartbeats.due],
  register: registerHeartbeats,
  start: (context) => context.heartbeats.start(),
  stop: (context) => context.heartbeats.stop(),
  configKinds: async (context) => (await import("./config-kind.ts")).heartbeatKinds(context),
  runtimeKinds: async (context) => [(await import("./runtime-kind.ts")).pausesKind(context)],
  sweeps: () => HEARTBEAT_SWEEPS,
  sealedColumns: [
    sealedColumn("heartbeats", "sealedPing", pingSealContext, { where: sql`sealedPing is not null` }),
    sealedColumn("heartbeat_keys", "sealedPingKey", pingKeySealContext, {
      id: "projectId",
      where: sql`sealedPingKey is not null`,
    }),
  ],
});
