import { sql } from "kysely";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { secretSealContext } from "../../channels/webhook/message.ts";
import { safeFetchOf } from "../../channels/webhook/safe-fetch.ts";
import { type WebhooksContext, webhooks } from "./manage.ts";
import * as s from "./schema.ts";
import { WebhookTester } from "./test-call.ts";

/** Management of webhooks, which are called for notifications. */
export const webhooksFeature = feature("webhooks", {
  needs: ["projects"],
  sealedColumns: [
    sealedColumn("webhooks", "secret", (id) => secretSealContext("secret", id)),
    sealedColumn("webhooks", "previousSecret", (id) => secretSealContext("previousSecret", id), {
      where: sql`previousSecret is not null`,
    }),
  ],
  register: (server, context) => serve(server, { ...context, fetch: safeFetchOf(context.config) }),
  async configKinds(context) {
    const { webhookKinds } = await import("./config-kind.ts");
    return webhookKinds({ ...context, fetch: safeFetchOf(context.config) });
  },
  async onUserDeleted(trx, userId) {
    await trx.deleteFrom("webhooks").where("userId", "=", userId).execute();
  },
  async onProjectDeleted(trx, projectId) {
    const gone = trx.deleteFrom("webhooks").where("projectId", "=", projectId).returning(["id", "version"]);
    return { resourceType: "webhook", rows: await gone.execute() };
  },
});

function serve(server: FeatureServer, context: WebhooksContext): void {
  const tester = new WebhookTester(context);
  for (const each of webhooks.routes(context)) server.route(each);
  server.route({
    method: "POST",
    path: `${s.PATH}/:id/test`,
    id: "testWebhook",
    tag: "Webhooks",
    access: { permission: "webhooks:manage" },
    params: s.WebhookParams,
    summary: "Send a test notification to a webhook and return the result",
    response: s.TestView,
    errors: ["WEBHOOK_NOT_FOUND", "URL_REFUSED", "OVERLOADED"],
    handle: (exchange, { params }) => tester.run(holderOf(exchange), params.id),
  });
}
