import { HOUR_MS } from "../../core/time/clock.ts";
import { RateLimiter } from "../../http/limits/rate-limiter.ts";
import { feature } from "../../module/feature.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { silenceAt } from "../alerts/index.ts";
import { addressSealContext, handleMails } from "./mails.ts";
import { pageRoutes, subscriberRoutes } from "./manage.ts";
import { notices } from "./notices.ts";
import { StatusPages } from "./pages.ts";
import { publicRoutes } from "./public-routes.ts";
import { statusSweeps } from "./table.ts";

/** Rate-limited addresses: networks and subscribers. */
const MAX_SUBSCRIPTION_BUCKETS = 50_000;

declare module "../../module/feature.ts" {
  interface Offers {
    readonly statusPages: StatusPages;
  }
}

export const statusPageFeature = feature("statuspage", {
  needs: ["projects", "alerts", "silences", "steadyClock", "jobs", "runner"],
  open: (context) => ({ statusPages: new StatusPages({ ...context, log: context.log.namespace("alerts") }) }),
  effects: ({ statusPages }) => ({
    "status-pages-changed": (change) => statusPages.changed(change),
    "alerts-changed": ({ alerts = [] }) => statusPages.alertsChanged(alerts),
    "silences-changed": ({ silences }) =>
      statusPages.silencesChanged(new Set(silences.map(({ projectId }) => projectId))),
  }),
  load: ({ statusPages }) => statusPages.load(),
  start: ({ statusPages }) => statusPages.start(),
  close: ({ statusPages, readsOnly }) => (readsOnly ? undefined : statusPages.stop()),
  sealedColumns: [sealedColumn("status_subscribers", "address", addressSealContext)],
  register(server, given) {
    const { clock, silences } = given;
    const context = {
      ...given,
      limiter: new RateLimiter(clock, MAX_SUBSCRIPTION_BUCKETS, HOUR_MS),
      maintenanceOf: (projectId: string, now: number) =>
        silences.live(projectId).flatMap(({ row }) => (row.kind === "maintenance" ? silenceAt(row, now) : [])),
    };
    handleMails(context);
    const routes = [...pageRoutes(context), ...notices.routes(context), ...subscriberRoutes(context)];
    for (const each of [...routes, ...publicRoutes(context)]) server.route(each);
  },
  configKinds: async (context) => (await import("./config-kind.ts")).statusPageKinds(context),
  sweeps: ({ settings }) => statusSweeps(() => settings.retention.alertDays),
});
