import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { actionRoutes } from "./action-routes.ts";
import { deliveryRoutes } from "./ingest-routes.ts";
import { receivers } from "./manage.ts";
import { Preparing } from "./preparing.ts";
import { Presets } from "./presets.ts";
import { Receivers, receiverSealContext } from "./receivers.ts";
import { RECEIVER_SWEEPS } from "./retention.ts";
import { requestRoutes } from "./try-requests.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly receivers: Receivers;
    readonly receiverPresets: Presets;
    /** Reads what receivers are sent. */
    readonly preparing: Preparing;
  }
}

/** URLs at which other programs deliver requests, and their log. */
export const receiversFeature = feature("receivers", {
  needs: ["alerts", "incidents", "projects", "outside", "receiverRules"],
  uses: ["mailIn"],
  open(context) {
    const { config, log, work } = context;
    const receiverPresets = new Presets({ dataDir: config.dataDir, log: log.namespace("receivers") });
    return {
      receiverPresets,
      receivers: new Receivers({ ...context, receiverPresets }),
      preparing: new Preparing(work),
    };
  },
  effects: ({ receivers, receiverRules }) => ({
    "receivers-changed"(change) {
      receivers.changed(change);
      receiverRules.changed(change);
    },
  }),
  sealedColumns: [
    sealedColumn("receivers", "secret", (id) => receiverSealContext("secret", id), { where: sql`secret is not null` }),
    sealedColumn("receivers", "previousSecret", (id) => receiverSealContext("previousSecret", id), {
      where: sql`previousSecret is not null`,
    }),
  ],
  load({ receivers, receiverPresets }) {
    receivers.load();
    receiverPresets.reload();
  },
  reload({ receivers, receiverPresets }) {
    receiverPresets.reload();
    receivers.presetsChanged();
  },
  close: ({ preparing }) => preparing.stop(),
  register(server, given) {
    const { receiverPresets: presets, projects, mailIn } = given;
    const outside = given.outside();
    const context = {
      ...{ ...given, presets, storage: projects.storage },
      mailDomain: () => mailIn.domain,
      async fetchText(url: string) {
        const { status, body } = await outside.request(url, { method: "GET" });
        if (status !== 200) throw new PrismError("SIGNATURE_INVALID", `The sender's URL answers ${status}`);
        return body.toString("utf8");
      },
    };
    const managed = [...receivers.routes(context), ...actionRoutes(context)];
    for (const each of [...managed, ...requestRoutes(context), ...deliveryRoutes(context)]) server.route(each);
  },
  sweeps: () => RECEIVER_SWEEPS,
});
