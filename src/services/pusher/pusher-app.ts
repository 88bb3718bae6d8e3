import { createHmac, randomBytes, randomInt } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { SealedBox } from "../../base/sealed-box.ts";
import type { Config } from "../../config/load.ts";
import type { Database } from "../../store/database.ts";
import { PUSHER_APP_SETTING, sealedSettingPlace } from "../../store/sealed-settings.ts";

/** The credentials of an app of Pusher Channels; clients know all but the secret. */
export interface PusherApp {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
}

interface PusherAppParts {
  readonly config: Pick<Config, "pusher">;
  readonly database: Database;
  readonly box: SealedBox;
  readonly clock: Clock;
}

/** The app that is configured; else one of this server's own, made at its first start and kept under the encryption key. */
export async function openPusherApp({ config, database, box, clock }: PusherAppParts): Promise<PusherApp> {
  const { appId, key, secret } = config.pusher;
  if (appId !== undefined && key !== undefined && secret !== undefined) return { appId, key, secret };
  const place = sealedSettingPlace(PUSHER_APP_SETTING);
  const value = await keptApp(database);
  if (value) return JSON.parse(box.open(place, value).toString("utf8")) as PusherApp;
  const made = makeApp();
  const sealed = box.seal(place, Buffer.from(JSON.stringify(made)));
  await database.write((trx) =>
    trx.insertInto("settings").values({ key: PUSHER_APP_SETTING, value: sealed, updatedAt: clock.now() }).execute(),
  );
  return made;
}

async function keptApp(database: Database): Promise<Uint8Array | undefined> {
  const row = await database.read
    .selectFrom("settings")
    .select("value")
    .where("key", "=", PUSHER_APP_SETTING)
    .executeTakeFirst();
  return row?.value as Uint8Array | undefined;
}

/** In the forms that Pusher's own have. */
function makeApp(): PusherApp {
  return {
    appId: String(randomInt(100_000, 10_000_000)),
    key: randomBytes(10).toString("hex"),
    secret: randomBytes(16).toString("hex"),
  };
}

/**
 * What lets one socket into one channel: key and HMAC-SHA-256 (contract 5.5; pusher.com/docs/channels/library_auth_reference/auth-signatures).
 * @param channelData of a presence channel, exactly as it is sent along
 */
export function signChannel(
  { key, secret }: PusherApp,
  socketId: string,
  channel: string,
  channelData?: string,
): string {
  const text = channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`;
  return `${key}:${createHmac("sha256", secret).update(text).digest("hex")}`;
}
