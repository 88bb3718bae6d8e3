import { sql } from "kysely";
import { route, versioned } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { secretSealContext } from "../../channels/webhook/message.ts";
import { safeFetchOf } from "../../channels/webhook/safe-fetch.ts";
import * as s from "./schema.ts";
import type { Changed, WebhooksContext } from "./service.ts";
import * as service from "./service.ts";
import { WebhookTester } from "./service.ts";
import { Webhook } from "./webhook.ts";

const PATH = "/api/v1/webhooks";
const common = { tag: "Webhooks", access: { permission: "webhooks:manage" } } as const;
const one = { ...common, params: s.WebhookParams } as const;

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

  const reply = ({ webhook, secret }: Changed, status = 200) => {
    const view = s.webhookView(webhook, context.clock.now());
    // Failures are counted, and an old secret ends, without a new version.
    const { failures, previousSecretUntil } = view;
    const body = secret === undefined ? view : { ...view, secret };
    return versioned(webhook.version, body, { status, state: stateOf({ failures, previousSecretUntil }) });
  };

  const routes = [
    route({
      method: "GET",
      path: PATH,
      id: "listWebhooks",
      summary: "List the webhooks of the caller, of a project or of all, newest first",
      ...common,
      query: s.ListWebhooks,
      response: () => pageOf(s.ListedWebhook()),
      errors: ["PROJECT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_CURSOR"],
      handle: (exchange, { query }) => service.listWebhooks(context, holderOf(exchange), query),
    }),
    route({
      method: "POST",
      path: PATH,
      id: "createWebhook",
      summary: "Create a webhook for the caller or a project; its secret is returned only once",
      ...common,
      body: s.CreateWebhook,
      status: 201,
      response: s.WebhookWithSecret,
      errors: ["PROJECT_NOT_FOUND", "URL_REFUSED", "LIMIT_REACHED"],
      handle: async (exchange, { body }) => reply(await service.createWebhook(context, holderOf(exchange), body), 201),
    }),
    route({
      method: "GET",
      path: `${PATH}/:id`,
      id: "getWebhook",
      summary: "Get a webhook, without its secret",
      ...one,
      response: () => Webhook.View,
      errors: ["WEBHOOK_NOT_FOUND"],
      handle: async (exchange, { params }) =>
        reply({ webhook: await service.getWebhook(context, holderOf(exchange), params.id) }),
    }),
    route({
      method: "PUT",
      path: `${PATH}/:id`,
      id: "updateWebhook",
      summary: "Update a webhook, enable it again, or rotate its secret",
      ...one,
      body: s.UpdateWebhook,
      response: s.WebhookWithSecret,
      errors: ["WEBHOOK_NOT_FOUND", "VERSION_CONFLICT", "URL_REFUSED"],
      handle: async (exchange, { params, body }) =>
        reply(await service.updateWebhook(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:id`,
      id: "deleteWebhook",
      summary: "Delete a webhook with its pending deliveries",
      ...one,
      errors: ["WEBHOOK_NOT_FOUND"],
      handle: (exchange, { params }) => service.deleteWebhook(context, holderOf(exchange), params.id),
    }),
    route({
      method: "POST",
      path: `${PATH}/:id/test`,
      id: "testWebhook",
      summary: "Send a test notification to a webhook and return the result",
      ...one,
      response: s.TestView,
      errors: ["WEBHOOK_NOT_FOUND", "URL_REFUSED", "OVERLOADED"],
      handle: (exchange, { params }) => tester.run(holderOf(exchange), params.id),
    }),
  ];
  for (const each of routes) server.route(each);
}
