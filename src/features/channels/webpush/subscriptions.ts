import { ECDH } from "node:crypto";
import * as v from "valibot";
import type { UserPrincipal } from "../../../core/caller.ts";
import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, example, named, object, openObject, pattern, text } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { type Channels, TargetGone } from "../../delivery/channel.ts";
import type { Notifier } from "../../notifications/index.ts";
import { openToken, type PushDeviceContext, sealToken } from "../push/devices.ts";
import type { SafeFetch } from "../webhook/safe-fetch.ts";
import type { WebPushClient } from "./channel.ts";
import { DRILL_WAY, readAcknowledgeToken, testPayload, topicOf } from "./message.ts";
import type { PushSubscription } from "./sender.ts";

/** As many as a user has devices; a new browser replaces the one unused for longest. */
const MAX_SUBSCRIPTIONS = 20;
const MAX_ENDPOINT_LENGTH = 2048;
const DEFAULT_NAME = "Browser";
/** A browser that is offline gets a test within a minute or not at all. */
const TEST_TTL_S = 60;
/** Limit of concurrent tests: each holds a request open for up to ten seconds. */
const MAX_TESTS = 8;
const RETRY_AFTER_MS = 1000;

const publicKey = v.pipe(
  pattern(/^[\w-]{87}$/, "must be 65 bytes in base64url without padding"),
  v.check(isPoint, "must be an uncompressed point on the curve P-256"),
);

export const SubscriptionBody = example(
  object({
    endpoint: doc(v.pipe(v.string(), v.maxLength(MAX_ENDPOINT_LENGTH)), "URL of the push service for this browser"),
    expirationTime: v.optional(doc(v.nullable(v.number()), "When the browser ends it, epoch ms; not used")),
    keys: doc(
      openObject({
        p256dh: doc(publicKey, "Public key of the browser"),
        auth: doc(pattern(/^[\w-]{22}$/, "must be 16 bytes in base64url without padding"), "Secret of the browser"),
      }),
      "Keys of the browser, others are ignored",
    ),
    device: v.optional(doc(text(64, 1), "Name of the browser, shown in the list")),
  }),
  {
    endpoint: "https://push.example.com/send/c5a2",
    // The receiver of RFC 8291 section 5.
    keys: {
      p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
      auth: "BTBZMqHH6r4Tts7J_aSIgg",
    },
    device: "Firefox on the laptop",
  },
);

export const SubscriptionParams = object({ id: v.string() });

export const SubscriptionView = named(
  "PushSubscription",
  "A browser that receives push",
  v.object({
    id: v.string(),
    device: v.string(),
    service: doc(v.nullable(v.string()), "Host of the push service; null if no configured key opens the subscription"),
    isCurrentSession: doc(v.boolean(), "Whether the caller's login session made it"),
    createdAt: v.string(),
    lastUsedAt: doc(v.nullable(v.string()), "Day of the last accepted message"),
  }),
);

export const PushTestView = v.object({
  delivered: doc(v.boolean(), "Whether the push service accepted the message"),
  status: doc(v.nullable(v.number()), "HTTP status of the push service; null without an answer"),
  error: v.nullable(v.string()),
});

export const AcknowledgeBody = example(
  object({ token: doc(v.pipe(v.string(), v.maxLength(300)), "`acknowledgeToken` of a push message") }),
  { token: "the-acknowledge-token" },
);

export interface SubscriptionContext extends PushDeviceContext, Uses<"config" | "webPush"> {
  readonly channels: Pick<Channels, "reload">;
  readonly fetch: SafeFetch;
  readonly client: WebPushClient;
  readonly notify: Pick<Notifier, "acknowledge">;
  /** As of the links in mails. */
  readonly confirmDrill: (deliveryId: string) => Promise<unknown>;
}

type Caller = Pick<UserPrincipal, "userId" | "sessionId">;

export async function listSubscriptions({ db, box }: SubscriptionContext, { userId, sessionId }: Caller) {
  const rows = await subscriptionsOf(userId, db.read);
  return rows.map((row) => ({
    id: row.id,
    device: row.device,
    service: serviceOf(() => openToken(box, row.id, row.token)),
    isCurrentSession: sessionId !== null && row.sessionId === sessionId,
    createdAt: toRfc3339(row.createdAt),
    lastUsedAt: toRfc3339OrNull(row.lastUsedAt),
  }));
}

/**
 * Adds a browser, or updates the one with this endpoint. An endpoint belongs to the user who
 * subscribed it last, and to that login session: a logout ends it.
 * @throws URL_REFUSED
 */
export async function putSubscription(
  context: SubscriptionContext,
  caller: Caller,
  { device, ...given }: v.InferOutput<typeof SubscriptionBody>,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  await context.fetch.check(given.endpoint);
  const { p256dh, auth } = given.keys;
  const subscription: PushSubscription = { ...given, keys: { p256dh, auth } };
  const result = await context.db.write((trx) => storeSubscription(context, caller, subscription, device, trx));
  if (context.webPush.use()) context.channels.reload();
  return result;
}

async function storeSubscription(
  { clock, box }: SubscriptionContext,
  { userId, sessionId }: Caller,
  subscription: PushSubscription,
  device: string | undefined,
  trx: Trx,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const tokenHash = sha256Hex(subscription.endpoint);
  const ofOthers = trx.deleteFrom("push_devices").where("kind", "=", "webpush").where("tokenHash", "=", tokenHash);
  await ofOthers.where("userId", "!=", userId).execute();
  const own = await subscriptionsOf(userId, trx);
  const same = own.find((row) => row.tokenHash === tokenHash);
  const others = own.filter((row) => row !== same);
  addEffect(trx, { type: "ways-changed", userId });
  const now = clock.now();
  const id = same?.id ?? uuidv7(now);
  const token = sealToken(box, id, JSON.stringify(subscription));
  const name = freeName(device ?? same?.device ?? DEFAULT_NAME, others);
  const values = { device: name, token, updatedAt: now, sessionId };
  if (same) {
    await trx.updateTable("push_devices").set(values).where("id", "=", id).execute();
    return { id, isNew: false };
  }
  const surplus = [...others].sort((a, b) => usedAt(b) - usedAt(a)).slice(MAX_SUBSCRIPTIONS - 1);
  for (const { id } of surplus) await trx.deleteFrom("push_devices").where("id", "=", id).execute();
  await trx
    .insertInto("push_devices")
    .values({ id, userId, kind: "webpush", tokenHash, createdAt: now, ...values })
    .execute();
  return { id, isNew: true };
}

/** @throws PUSH_SUBSCRIPTION_NOT_FOUND */
export async function removeSubscription({ db }: SubscriptionContext, userId: string, id: string): Promise<void> {
  await db.write(async (trx) => {
    await requireSubscription(userId, id, trx);
    await trx.deleteFrom("push_devices").where("id", "=", id).execute();
  });
}

/** Sends tests. The result is not counted: it is no delivery. */
export class PushTester {
  readonly #context: SubscriptionContext;
  #running = 0;

  constructor(context: SubscriptionContext) {
    this.#context = context;
  }

  /** @throws PUSH_SUBSCRIPTION_NOT_FOUND, OVERLOADED */
  async run(userId: string, id: string): Promise<v.InferOutput<typeof PushTestView>> {
    if (this.#running >= MAX_TESTS)
      throw new PrismError("OVERLOADED", "Too many browsers are being tested", { retryAfterMs: RETRY_AFTER_MS });
    this.#running++;
    let status: number | null = null;
    try {
      const answer = await this.#send(userId, id);
      status = answer.status;
      this.#context.client.requireAccepted(answer);
      return { delivered: true, status, error: null };
    } catch (error) {
      if (error instanceof PrismError) throw error;
      if (error instanceof TargetGone) await removeSubscription(this.#context, userId, id);
      return { delivered: false, status, error: error instanceof Error ? error.message : String(error) };
    } finally {
      this.#running--;
    }
  }

  async #send(userId: string, id: string) {
    const { db, box, clock, webPush, client } = this.#context;
    const row = await requireSubscription(userId, id, db.read);
    const subscription = JSON.parse(openToken(box, id, row.token)) as PushSubscription;
    const testId = uuidv7();
    const headers = { ttlS: TEST_TTL_S, urgency: "high", topic: topicOf(testId) } as const;
    return client.post(await webPush.request(subscription, testPayload(testId, clock.now()), headers));
  }
}

/**
 * Acknowledges by the button of a push message. @throws TOKEN_INVALID, also after the subscription
 * has ended or the account was disabled; TOKEN_EXPIRED, NOTIFICATION_NOT_FOUND
 */
export async function acknowledgePushed(context: SubscriptionContext, token: string): Promise<{ id: string }> {
  const { db, config, clock, notify, confirmDrill } = context;
  const { subscriptionId, notificationId } = readAcknowledgeToken(config, token, clock.now());
  if (subscriptionId.startsWith(DRILL_WAY)) {
    await confirmDrill(subscriptionId.slice(DRILL_WAY.length));
    return { id: notificationId };
  }
  const owner = await db.read
    .selectFrom("push_devices as d")
    .innerJoin("users as u", "u.id", "d.userId")
    .select("u.id")
    .where("d.id", "=", subscriptionId)
    .where("u.status", "=", "active")
    .where("u.deletedAt", "is", null)
    .executeTakeFirst();
  if (!owner) throw new PrismError("TOKEN_INVALID", "The subscription has ended; log in instead");
  await notify.acknowledge(notificationId, owner.id, "webpush");
  return { id: notificationId };
}

function subscriptionsOf(userId: string, db: ReadDb | Trx) {
  return db
    .selectFrom("push_devices")
    .select(["id", "device", "token", "tokenHash", "sessionId", "createdAt", "updatedAt", "lastUsedAt"])
    .where("userId", "=", userId)
    .where("kind", "=", "webpush")
    .orderBy("device")
    .execute();
}

/** @throws PUSH_SUBSCRIPTION_NOT_FOUND, also for one of another user */
async function requireSubscription(userId: string, id: string, db: ReadDb | Trx) {
  const row = isUuid(id) ? (await subscriptionsOf(userId, db)).find((each) => each.id === id) : undefined;
  if (!row) throw new PrismError("PUSH_SUBSCRIPTION_NOT_FOUND", "No such push subscription");
  return row;
}

function usedAt({ updatedAt, lastUsedAt }: { readonly updatedAt: number; readonly lastUsedAt: number | null }): number {
  return Math.max(updatedAt, lastUsedAt ?? 0);
}

/** A user's devices have unique names: "Firefox", "Firefox (2)". */
function freeName(wanted: string, others: readonly { readonly device: string }[]): string {
  const taken = new Set(others.map(({ device }) => device));
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted} (${number})`;
  return name;
}

function serviceOf(open: () => string): string | null {
  try {
    return new URL((JSON.parse(open()) as PushSubscription).endpoint).host;
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

function isPoint(key: string): boolean {
  try {
    const point = Buffer.from(key, "base64url");
    return point[0] === 4 && ECDH.convertKey(point, "prime256v1").length > 0;
  } catch {
    return false;
  }
}
