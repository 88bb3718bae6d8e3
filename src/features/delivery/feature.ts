import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { Reply, type Route, route } from "../../http/api/route.ts";
import { userOf } from "../../http/server/access.ts";
import { type FeatureCore, feature } from "../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import { sealedColumn } from "../../store/sealed-column.ts";
import { acknowledgeRoutes } from "../channels/mail/acknowledge.ts";
import { unsubscribeRoute } from "../channels/mail/unsubscribe.ts";
import { DeviceView, PushBody, replaceDevices } from "../channels/push/devices.ts";
import { type SafeFetch, type SafeFetchOptions, safeFetchOf } from "../channels/webhook/safe-fetch.ts";
import { WebPushClient } from "../channels/webpush/channel.ts";
import { closedWebPush, openWebPush, type WebPushSender } from "../channels/webpush/sender.ts";
import * as s from "../channels/webpush/subscriptions.ts";
import { Channels } from "./channel.ts";
import { ChangedPreferences, FullPreferences, Preferences, preferenceWarnings } from "./deliveries.ts";
import { type DirectMail, enqueueMail, mailSealContext } from "./mails.ts";

declare module "../../module/feature.ts" {
  interface Offers {
    readonly channels: Channels;
    readonly webPush: WebPushSender;
    readonly enqueueMail: (mail: DirectMail, trx: Trx) => Promise<void>;
    /** For requests to URLs that users give. */
    readonly outside: (options?: SafeFetchOptions) => SafeFetch;
  }
}

/** How and where a user is notified: preferences, devices, and the link that ends mails. */
export const preferencesFeature = feature("preferences", {
  needs: ["jobs"],
  uses: ["notify", "drills", "incidents"],
  findings: { stored: () => import("./doctor.ts") },
  open: async (context) => ({
    channels: new Channels(context.config.delivery.workers),
    webPush: context.readsOnly ? closedWebPush(context.clock) : await openWebPush(context),
    enqueueMail: (mail, trx) => enqueueMail(context, mail, trx),
    outside: (options) => safeFetchOf(context.config, options),
  }),
  sealedColumns: [
    sealedColumn("push_devices", "token", (id) => `push_devices.token.${id}`),
    sealedColumn("sealed_mails", "content", mailSealContext),
  ],
  register(server, given) {
    const fetch = safeFetchOf(given.config);
    const context = {
      ...{ ...given, fetch, client: new WebPushClient(fetch, given.clock) },
      confirmDrill: (deliveryId: string) => given.drills.confirm(deliveryId),
      acknowledgeIncident: (id: string, channelId: string) =>
        given.incidents.acknowledge(id, { id: `channel:${channelId}`, via: "channel" }),
    };
    const links = [unsubscribeRoute(context), ...acknowledgeRoutes(context)];
    const routes = [...preferenceRoutes(context), ...subscriptionRoutes(context), ...links];
    for (const each of routes) server.route(each);
  },
  reload: ({ channels }) => channels.reload(),
  close: ({ channels }) => channels.close(),
});

function preferenceRoutes(context: FeatureCore): Route[] {
  const { db, clock } = context;
  return [
    route({
      method: "GET",
      path: "/api/v1/users/me/preferences",
      id: "getPreferences",
      summary: "Get the caller's notification preferences",
      tag: "Users",
      access: { tokenScopes: ["account:own"] },
      response: FullPreferences,
      async handle(exchange) {
        return preferencesOf(await prefsOf(db.read, userOf(exchange).userId));
      },
    }),
    route({
      method: "PUT",
      path: "/api/v1/users/me/preferences",
      id: "updatePreferences",
      summary: "Update the caller's notification preferences",
      tag: "Users",
      access: { tokenScopes: ["account:own"] },
      body: Preferences,
      response: ChangedPreferences,
      async handle(exchange, { body }) {
        const { userId } = userOf(exchange);
        const prefs = JSON.stringify(body);
        await db.write(async (trx) => {
          await trx.updateTable("users").set({ prefs, updatedAt: clock.now() }).where("id", "=", userId).execute();
          addEffect(trx, { type: "answers-changed", of: "profile", userId });
          addEffect(trx, { type: "ways-changed", userId });
        });
        return { ...preferencesOf(prefs), warnings: preferenceWarnings(body) };
      },
    }),
    route({
      method: "PUT",
      path: "/api/v1/users/me/push-tokens",
      id: "setPushTokens",
      summary: "Set the caller's push devices; tokens are stored encrypted and never returned",
      returns: "The devices of the caller",
      tag: "Users",
      access: { tokenScopes: ["account:own"] },
      body: PushBody,
      response: v.object({ devices: v.array(DeviceView) }),
      async handle(exchange, { body }) {
        return { devices: await replaceDevices(context, userOf(exchange), body) };
      },
    }),
  ];
}

const SUBSCRIPTIONS = "/api/v1/users/me/push-subscriptions";

function subscriptionRoutes(context: s.SubscriptionContext): Route[] {
  const tester = new s.PushTester(context);
  const own = { tag: "Users", access: { tokenScopes: ["account:own"] } } as const;
  const one = { ...own, params: s.SubscriptionParams } as const;
  return [
    route({
      method: "GET",
      path: "/api/v1/push/key",
      id: "getPushKey",
      summary: "Get the `applicationServerKey` with which browsers subscribe to push",
      returns: "The public key in base64url",
      tag: "Users",
      access: { tokenScopes: ["account:own"] },
      response: v.object({ publicKey: v.string() }),
      handle: () => ({ publicKey: context.webPush.publicKey }),
    }),
    route({
      method: "POST",
      path: "/api/v1/push/acknowledge",
      id: "acknowledgePush",
      summary: "Acknowledge a notification by the token of its push message, without a login",
      returns: "The acknowledged notification's id",
      tag: "Notifications",
      access: "public",
      body: s.AcknowledgeBody,
      response: v.object({ id: v.string() }),
      errors: ["TOKEN_INVALID", "TOKEN_EXPIRED", "NOTIFICATION_NOT_FOUND"],
      handle: (_exchange, { body }) => s.acknowledgePushed(context, body.token),
    }),
    route({
      method: "GET",
      path: SUBSCRIPTIONS,
      id: "listPushSubscriptions",
      summary: "List the browsers that receive the caller's notifications by push",
      returns: "The browsers, by name",
      ...own,
      response: v.object({ data: v.array(s.SubscriptionView) }),
      handle: async (exchange) => ({ data: await s.listSubscriptions(context, userOf(exchange)) }),
    }),
    route({
      method: "POST",
      path: SUBSCRIPTIONS,
      id: "addPushSubscription",
      summary: "Add the caller's browser (201), or update the one with this endpoint (200)",
      returns: "The id of the subscription",
      details: "A user has at most 20; a further one replaces the one that was unused for longest.",
      ...own,
      body: s.SubscriptionBody,
      status: 201,
      otherStatuses: [200],
      response: v.object({ id: v.string() }),
      errors: ["URL_REFUSED"],
      handle: async (exchange, { body }) => {
        const { id, isNew } = await s.putSubscription(context, userOf(exchange), body);
        return new Reply(isNew ? 201 : 200, { id });
      },
    }),
    route({
      method: "DELETE",
      path: `${SUBSCRIPTIONS}/:id`,
      id: "removePushSubscription",
      summary: "Remove one of the caller's browsers",
      ...one,
      errors: ["PUSH_SUBSCRIPTION_NOT_FOUND"],
      handle: (exchange, { params }) => s.removeSubscription(context, userOf(exchange).userId, params.id),
    }),
    route({
      method: "POST",
      path: `${SUBSCRIPTIONS}/:id/test`,
      id: "testPushSubscription",
      summary: "Send a test message to one of the caller's browsers and return the result",
      ...one,
      returns: "The answer of the push service",
      response: s.PushTestView,
      errors: ["PUSH_SUBSCRIPTION_NOT_FOUND", "OVERLOADED"],
      handle: (exchange, { params }) => tester.run(userOf(exchange).userId, params.id),
    }),
  ];
}

const DEFAULTS = { emailAlerts: true, digest: true, minPriority: 0, quietHours: null, channels: {} };

function preferencesOf(prefs: string) {
  return { ...DEFAULTS, ...(JSON.parse(prefs) as Partial<FullPreferences>) };
}

/** @throws USER_NOT_FOUND */
async function prefsOf(db: ReadDb, userId: string): Promise<string> {
  const user = await db
    .selectFrom("users")
    .select("prefs")
    .where("id", "=", userId)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (!user) throw new PrismError("USER_NOT_FOUND", "No such user");
  return user.prefs;
}
