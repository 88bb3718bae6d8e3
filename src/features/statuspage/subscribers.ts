import { invalidField, PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { HOUR_MS } from "../../core/time/clock.ts";
import { type RateLimiter, requireAllowed } from "../../http/limits/rate-limiter.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { addressGroup } from "../../http/server/headers.ts";
import type { Uses } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import { addressHash, addressSealContext, canSubscribe, type MailParts, mailConfirmation, readToken } from "./mails.ts";
import type { SubscriberRow } from "./notice.ts";
import { countSubscribers, PENDING_MS } from "./table.ts";

export interface SubscriberContext extends MailParts {
  /** By the hour: requests of an address of the network, and mails to a mail address. */
  readonly limiter: RateLimiter;
}

/** Limit of one page, confirmed or not. */
const MAX_SUBSCRIBERS = 10_000;
const REQUESTS_PER_HOUR = 20;
/** To one mail address, for all pages. */
const MAILS_PER_HOUR = 3;
/** Enough to find mistakes; the confirmation shows whether it is one. No header can be made of it. */
const ADDRESS = /^[^\s@<>",;:\\()[\]]{1,64}@[^\s@<>",;:\\()[\]]+\.[^\s@<>",;:\\()[\]]+$/;

/**
 * Takes a request for mails, and asks the holder of the address. The answer is the same for known
 * addresses. @throws NOT_FOUND, RATE_LIMITED, VALIDATION_FAILED, LIMIT_REACHED
 */
export async function subscribe(
  context: SubscriberContext,
  exchange: Exchange,
  { projectId, slug, body }: { readonly projectId: string; readonly slug: string; readonly body: Buffer },
): Promise<void> {
  const { db, clock, settings, statusPages, limiter } = context;
  const { document, row: page = null } = statusPages.of(projectId) ?? {};
  if (!document?.subscriptions || !canSubscribe(context, page)) throw new PrismError("NOT_FOUND", "No such page");
  const address = (new URLSearchParams(body.toString()).get("email") ?? "").trim();
  if (address.length > 254 || !ADDRESS.test(address))
    throw invalidField("mail address", "email", "must be a mail address");
  const hash = addressHash(context, address);
  if (settings.rateLimit.enabled)
    requireAllowed(
      limiter.take(`ip ${addressGroup(exchange.clientAddress)}`, REQUESTS_PER_HOUR),
      "Too many subscriptions",
    );
  // Without an error: it would say that the address is known.
  if (!limiter.take(`mail ${hash}`, MAILS_PER_HOUR).isAllowed) return;
  await db.write(async (trx) => {
    const now = clock.now();
    const known = await byHash(trx, projectId, hash);
    if (known?.confirmedAt != null || (known && now - known.mailedAt < HOUR_MS / MAILS_PER_HOUR)) return;
    const row = known
      ? { ...known, createdAt: now, mailedAt: now }
      : newSubscriber(context, projectId, { hash, address }, now);
    if (known) await trx.updateTable("status_subscribers").set(row).where("id", "=", known.id).execute();
    else {
      const { confirmed, pending } = await countSubscribers(trx, projectId);
      if (confirmed + pending >= MAX_SUBSCRIBERS)
        throw new PrismError("LIMIT_REACHED", "This page takes no further subscriptions");
      await trx.insertInto("status_subscribers").values(row).execute();
    }
    await mailConfirmation(context, trx, row, { slug, title: document.title });
  });
}

function newSubscriber(
  { box }: Uses<"box">,
  projectId: string,
  { hash, address }: { readonly hash: string; readonly address: string },
  now: number,
): SubscriberRow {
  const id = uuidv7();
  const sealed = box.seal(addressSealContext(id), Buffer.from(address));
  return { id, projectId, hash, address: sealed, createdAt: now, mailedAt: now, confirmedAt: null };
}

function byHash(trx: Trx, projectId: string, hash: string) {
  return trx
    .selectFrom("status_subscribers")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("hash", "=", hash)
    .executeTakeFirst();
}

/** @returns false for a link that has expired, or was not made by this server for this page */
export async function confirmSubscription(
  { db, clock, settings }: SubscriberContext,
  projectId: string,
  token: string,
): Promise<boolean> {
  const id = readToken({ settings }, "confirm", token);
  if (id === null) return false;
  return db.write(async (trx) => {
    const row = await trx
      .selectFrom("status_subscribers")
      .select(["confirmedAt", "createdAt"])
      .where("id", "=", id)
      .where("projectId", "=", projectId)
      .executeTakeFirst();
    if (!row) return false;
    if (row.confirmedAt !== null) return true;
    const now = clock.now();
    if (now - row.createdAt >= PENDING_MS) return false;
    await trx.updateTable("status_subscribers").set({ confirmedAt: now }).where("id", "=", id).execute();
    return true;
  });
}

/** Idempotent. Works without the page, too. @returns false for a link that this server did not make */
export async function unsubscribe({ db, settings }: SubscriberContext, token: string): Promise<boolean> {
  const id = readToken({ settings }, "unsubscribe", token);
  if (id === null) return false;
  await db.write((trx) => trx.deleteFrom("status_subscribers").where("id", "=", id).execute());
  return true;
}
