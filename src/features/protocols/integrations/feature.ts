import { feature } from "../../../module/feature.ts";
import { Integrations } from "./integrations.ts";
import { integrationRoutes } from "./manage.ts";
import { opsgenieRoutes } from "./opsgenie.ts";
import { pagerDutyRoutes } from "./pagerduty.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly integrations: Integrations;
  }
}

/** Programs that send alerts in PagerDuty's and Opsgenie's protocols, and their keys. */
export const integrationsFeature = feature("integrations", {
  needs: ["projects", "alerts", "incidents", "onCall"],
  open: (context) => ({ integrations: new Integrations({ ...context, log: context.log.namespace("alerts") }) }),
  load: ({ integrations }) => integrations.load(),
  start: ({ integrations }) => integrations.start(),
  close: ({ integrations, readsOnly }) => (readsOnly ? undefined : integrations.stop()),
  effects: ({ integrations }) => ({ "integrations-changed": (change) => integrations.changed(change) }),
  configKinds: async (context) => (await import("./config-kind.ts")).integrationKinds(context),
  register(server, context) {
    const routes = [...integrationRoutes(context), ...pagerDutyRoutes(context), ...opsgenieRoutes(context)];
    for (const each of routes) server.route(each);
  },
});
