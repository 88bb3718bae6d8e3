import { createHash, createHmac, randomBytes, randomInt } from "node:crypto";
import type { Config } from "../../../config/load.ts";
import type { Context } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { type OwnSecretParts, ownSecret, storeSecret } from "../../../store/own-secret.ts";
import { PUSHER_APP_SETTING } from "../../../store/sealed-settings.ts";

/** Credentials of an app of Pusher Channels; clients know all but the secret. */
export interface PusherApp {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
}

/** The configured app, otherwise this server's own. @throws UnsealError */
export async function openPusherApp(
  parts: OwnSecretParts & { readonly config: Pick<Config, "pusher"> },
): Promise<PusherApp> {
  return configuredPusherApp(parts.config) ?? ownPusherApp(parts);
}

/** The configured app: for the embedded server, or one at Pusher. */
export function configuredPusherApp({ pusher }: Pick<Config, "pusher">): PusherApp | undefined {
  const { appId, key, secret } = pusher;
  if (appId === undefined || key === undefined || secret === undefined) return undefined;
  return { appId, key, secret };
}

/** This server's own app, created on first use and stored sealed. @throws UnsealError */
export function ownPusherApp(parts: OwnSecretParts): Promise<PusherApp> {
  return ownSecret(parts, PUSHER_APP_SETTING, makeApp);
}

/**
 * Replaces the secret of this server's own app. Id and key stay, because web pages contain them.
 * Requires the data directory's lock: a running server would keep using the old secret.
 * @throws UnsealError
 */
export async function rotatePusherSecret(
  parts: OwnSecretParts & { readonly audit: CoreServices["audit"] },
): Promise<PusherApp> {
  const { db, audit } = parts;
  const old = await ownPusherApp(parts);
  const rotated = { ...old, secret: makeSecret() };
  await db.write(async (trx) => {
    await storeSecret(parts, PUSHER_APP_SETTING, rotated, trx);
    await audit.record({ action: "key.rotate", resourceType: "pusher_app", resourceId: old.appId }, { trx });
  });
  return rotated;
}

/** In the format of Pusher's credentials. */
function makeApp(): PusherApp {
  return {
    appId: String(randomInt(100_000, 10_000_000)),
    key: randomBytes(10).toString("hex"),
    secret: makeSecret(),
  };
}

function makeSecret(): string {
  return randomBytes(16).toString("hex");
}

/**
 * The signature that lets a socket subscribe to a channel: key and HMAC-SHA-256 (docs/pusher.md;
 * pusher.com/docs/channels/library_auth_reference/auth-signatures).
 * @param channelData of a presence channel, exactly as sent
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

/**
 * The signature that lets a socket sign in as a user
 * (pusher.com/docs/channels/library_auth_reference/auth-signatures).
 * @param userData JSON text, exactly as sent
 */
export function signUser({ key, secret }: PusherApp, socketId: string, userData: string): string {
  return `${key}:${createHmac("sha256", secret).update(`${socketId}::user::${userData}`).digest("hex")}`;
}

/** The key of an encrypted channel in base64, derived as in Pusher's server libraries. */
export function sharedSecretOf(masterKey: Uint8Array, channel: string): string {
  return createHash("sha256").update(channel).update(masterKey).digest("base64");
}

/** A triggered event, as an entry of its channel's stream. */
export interface TriggeredEntry {
  readonly to: { readonly kind: "pusher"; readonly channel: string };
  readonly type: string;
  readonly data: string;
  /** The socket that does not receive it. */
  readonly except?: string | undefined;
  readonly correlationId: string;
}

/** A call of Pusher's webhooks. */
export interface WebhookRequest {
  readonly method: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly signal: AbortSignal;
}

export type PusherContext = Context<
  "pusher" | "projects" | "channelAuthorizers" | "pusherRegistry" | "realtime" | "modules" | "outside"
>;
