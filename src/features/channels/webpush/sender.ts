import { createECDH } from "node:crypto";
import type WebPush from "web-push";
import type { Config } from "../../../config/load.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { ReadDb } from "../../../store/database.ts";
import { type OwnSecretParts, ownSecret } from "../../../store/own-secret.ts";
import { VAPID_KEYS_SETTING } from "../../../store/sealed-settings.ts";
import { addressOf, smtpOptionsOf } from "../mail/client.ts";

/** The key pair of VAPID (RFC 8292), in base64url. A browser's subscription belongs to one pair. */
interface VapidKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** A browser's subscription, as its `PushSubscription` prints it. */
export interface PushSubscription {
  readonly endpoint: string;
  readonly expirationTime?: number | null | undefined;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** Header fields of RFC 8030 sections 5.2 to 5.4. */
export interface PushHeaders {
  readonly ttlS: number;
  readonly urgency: "low" | "normal" | "high";
  /** Replaces a pending message with the same topic: at most 32 characters of base64url. */
  readonly topic: string;
}

/** One encrypted and signed request to a push service. */
export interface PushRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** In base64. */
  readonly body: string;
}

const PRIVATE_KEY_BYTES = 32;
/** One per push service; users may name any host. */
const MAX_SIGNATURES = 100;
const SIGNATURE_REUSE_MS = 3_600_000;
/** Services that require a contact, such as Apple's, refuse this one. */
const NO_CONTACT = "mailto:prism@localhost";

/**
 * This server at push services of browsers: its keys and its contact. `isUsed` is true from the
 * first subscription on; until then no delivery is planned, so that servers without browsers pay
 * nothing for the channel.
 */
export class WebPushSender {
  readonly publicKey: string;
  readonly #keys: VapidKeys;
  readonly #contact: () => string;
  readonly #signatures: TtlCache<string, string>;
  #isUsed: boolean;

  constructor(keys: VapidKeys, contact: () => string, isUsed: boolean, clock: Clock) {
    this.publicKey = keys.publicKey;
    this.#keys = keys;
    this.#contact = contact;
    this.#signatures = new TtlCache({ maxEntries: MAX_SIGNATURES, ttlMs: SIGNATURE_REUSE_MS, clock });
    this.#isUsed = isUsed;
  }

  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Records that a browser has subscribed. @returns whether it is the first one */
  use(): boolean {
    const isFirst = !this.#isUsed;
    this.#isUsed = true;
    return isFirst;
  }

  /**
   * Encrypts a payload for a subscription (RFC 8291) and signs the request (RFC 8292).
   * @param payload at most 3993 bytes: the record of 4096 bytes has 103 of its own
   */
  async request(subscription: PushSubscription, payload: string, headers: PushHeaders): Promise<PushRequest> {
    // Loaded with the first message, for a quicker start.
    const { default: webPush } = await import("web-push");
    const { endpoint, keys } = subscription;
    const details = webPush.generateRequestDetails({ endpoint, keys: { ...keys } }, payload, {
      headers: { Authorization: this.#authorization(webPush, new URL(endpoint).origin) },
      TTL: headers.ttlS,
      urgency: headers.urgency,
      topic: headers.topic,
    });
    // The client sets the length.
    const { "Content-Length": _length, ...fields } = details.headers;
    const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
    return { url: endpoint, headers: texts, body: Buffer.from(details.body ?? "").toString("base64") };
  }

  /** Signing takes 0.7 of the 0.9 ms of a request, and a signature counts for 12 hours. */
  #authorization({ getVapidHeaders }: Pick<typeof WebPush, "getVapidHeaders">, origin: string): string {
    const contact = this.#contact();
    const key = `${contact} ${origin}`;
    const cached = this.#signatures.get(key);
    if (cached !== undefined) return cached;
    const { publicKey, privateKey } = this.#keys;
    const signed = getVapidHeaders(origin, contact, publicKey, privateKey, "aes128gcm").Authorization;
    this.#signatures.set(key, signed);
    return signed;
  }
}

/** Creates the keys at the first start; they are never replaced. @throws UnsealError */
export async function openWebPush(
  parts: OwnSecretParts & { readonly settings: Pick<LiveSettings, "current"> },
): Promise<WebPushSender> {
  const keys = await ownSecret(parts, VAPID_KEYS_SETTING, makeKeys);
  return new WebPushSender(
    keys,
    () => contactOf(parts.settings.current) ?? NO_CONTACT,
    await hasSubscriptions(parts.db.read),
    parts.clock,
  );
}

/** For a core that cannot read the keys; sends nothing. */
export function closedWebPush(clock: Clock): WebPushSender {
  return new WebPushSender({ publicKey: "", privateKey: "" }, () => NO_CONTACT, false, clock);
}

/** The operator's contact for push services (RFC 8292 section 2.1): an https or a mailto URL. */
export function contactOf(config: Pick<Config, "publicUrl" | "smtp" | "delivery">): string | undefined {
  const { publicUrl } = config;
  if (publicUrl?.startsWith("https:") && new URL(publicUrl).hostname !== "localhost") return publicUrl;
  const sender = smtpOptionsOf(config)?.from ?? config.smtp.from;
  return sender === undefined ? undefined : `mailto:${encodeURI(addressOf(sender))}`;
}

function makeKeys(): VapidKeys {
  const pair = createECDH("prime256v1");
  const publicKey = pair.generateKeys("base64url");
  const short = pair.getPrivateKey();
  // Leading zeros are left out.
  const privateKey = Buffer.concat([Buffer.alloc(PRIVATE_KEY_BYTES - short.length), short]).toString("base64url");
  return { publicKey, privateKey };
}

async function hasSubscriptions(db: ReadDb): Promise<boolean> {
  const row = await db
    .selectFrom("push_devices")
    .select("id")
    .where("kind", "=", "webpush")
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
