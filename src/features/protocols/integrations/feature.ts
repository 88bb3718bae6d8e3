import { sql } from "kysely";
import { feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { forwardSealContext } from "../../intake/forward/index.ts";
import { claimRoutes } from "./claim-routes.ts";
import { CLAIM_SWEEPS, Claims } from "./claims.ts";
import { claimFindings } from "./findings.ts";
import { Integrations } from "./integrations.ts";
import { integrationRoutes } from "./manage.ts";
import { opsgenieRoutes } from "./opsgenie.ts";
import { pagerDutyRoutes } from "./pagerduty.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly integrations: Integrations;
    /** Requests with unknown keys. */
    readonly claims: Claims;
  }
}

/** Programs that send alerts in PagerDuty's and Opsgenie's protocols, and their keys. */
export const integrationsFeature = feature("integrations", {
  needs: ["projects", "principals", "alerts", "incidents", "onCall", "forwarding"],
  uses: ["notify"],
  open(core, later) {
    const context = { ...core, log: core.log.namespace("alerts") };
    return {
      integrations: new Integrations(context),
      claims: new Claims({ ...context, notify: () => later().notify }),
    };
  },
  load({ integrations, claims }) {
    integrations.load();
    claims.load();
  },
  sealedColumns: [
    sealedColumn("integrations", "forwardUrl", (id) => forwardSealContext("integrations", id), {
      where: sql`forwardUrl is not null`,
    }),
  ],
  findings: claimFindings,
  sweeps: () => CLAIM_SWEEPS,
  start: ({ integrations }) => integrations.start(),
  close: ({ integrations, readsOnly }) => (readsOnly ? undefined : integrations.stop()),
  effects: ({ integrations, claims }) => ({
    "integrations-changed": (change) => integrations.changed(change),
    "claims-changed": () => claims.load(),
  }),
  configKinds: async (context) => (await import("./config-kind.ts")).integrationKinds(context),
  register(server, context) {
    const own = [...integrationRoutes(context), ...claimRoutes(context)];
    for (const each of [...own, ...pagerDutyRoutes(context), ...opsgenieRoutes(context)]) server.route(each);
  },
});
