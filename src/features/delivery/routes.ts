import * as v from "valibot";
import type { Config } from "../../config/load.ts";
import { PrismError } from "../../core/errors.ts";
import { userOf } from "../../http/access.ts";
import { type Route, route } from "../../http/route.ts";
import type { Feature } from "../../module/feature.ts";
import { addEffect, type ReadDb } from "../../store/database.ts";
import { unsubscribeRoute } from "./channels/mail/unsubscribe.ts";
import { DeviceView, PushBody, type PushDeviceContext, replaceDevices } from "./channels/push/devices.ts";
import { Preferences } from "./preferences.ts";

/** What the feature needs besides the services of every module. */
export interface PreferencesOwn extends PushDeviceContext {
  readonly config: Config;
}

/** How and where a user is notified: preferences, devices, and the link that ends mails. */
export function preferencesFeature(own: PreferencesOwn): Feature {
  return {
    name: "preferences",
    version: "1.0.0",
    register(server, { audit }) {
      for (const each of [...preferenceRoutes(own), unsubscribeRoute({ ...own, audit })]) server.route(each);
    },
  };
}

function preferenceRoutes(context: PreferencesOwn): Route[] {
  const { db, clock } = context;
  return [
    route({
      method: "GET",
      path: "/api/v1/users/me/preferences",
      id: "getPreferences",
      summary: "Get the caller's notification preferences",
      tag: "Users",
      access: { tokenScopes: ["account:own"] },
      response: Preferences,
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
      response: Preferences,
      async handle(exchange, { body }) {
        const { userId } = userOf(exchange);
        const prefs = JSON.stringify(body);
        await db.write(async (trx) => {
          await trx.updateTable("users").set({ prefs, updatedAt: clock.now() }).where("id", "=", userId).execute();
          addEffect(trx, { type: "answers-changed", of: "profile", userId });
        });
        return preferencesOf(prefs);
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

const DEFAULTS = { emailAlerts: true, digest: true, minPriority: 0, quietHours: null, channels: {} };

function preferencesOf(prefs: string) {
  return { ...DEFAULTS, ...(JSON.parse(prefs) as Preferences) };
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
