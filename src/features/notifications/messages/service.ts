import { currentCaller, type PermissionHolder, type UserPrincipal } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { Reply } from "../../../http/api/route.ts";
import { isFarPage, pageBody, readPage } from "../../../http/api/shapes.ts";
import { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { insertLater, type ReadDb, type Trx } from "../../../store/database.ts";
import { MESSAGE_JOB, type MessageJob, type MessagesContext, moveTo, statusEntries, stepsOf } from "./deliver.ts";
import * as queries from "./queries.ts";
import { mayUseMessages, messageView, sealContent } from "./queries.ts";
import { type ListMessages, Message, type SendMessage } from "./schema.ts";

/** Limit of messages per sender and minute. */
const MESSAGES_PER_MINUTE = 60;

/** Counts accepted messages by sender: refused and repeated ones are free. */
export class SendingRate {
  readonly #context: MessagesContext;
  readonly #limiter: RateLimiter;
  /** Messages by sender that passed the check and are not committed yet. */
  readonly #pending = new Map<string, number>();

  constructor(context: MessagesContext) {
    this.#context = context;
    this.#limiter = new RateLimiter(context.clock);
  }

  /**
   * Runs a request that sends one message. @param send calls `require` (RATE_LIMITED) once the
   * message is known to be new.
   */
  async run<T>(exchange: Exchange, senderId: string, send: (require: () => void) => Promise<T>): Promise<T> {
    let isPending = false;
    try {
      const sent = await send(() => {
        if (!this.#context.settings.rateLimit.enabled) return;
        this.#requireRoom(exchange, senderId);
        this.#addPending(senderId, 1);
        isPending = true;
      });
      // In one turn: the pending message is now counted.
      if (isPending) exchange.rate = this.#limiter.take(senderId, MESSAGES_PER_MINUTE);
      return sent;
    } finally {
      if (isPending) this.#addPending(senderId, -1);
    }
  }

  /** @throws RATE_LIMITED */
  #requireRoom(exchange: Exchange, senderId: string): void {
    const state = this.#limiter.take(senderId, MESSAGES_PER_MINUTE, 0);
    exchange.rate = state;
    if (state.remaining - (this.#pending.get(senderId) ?? 0) < 1)
      throw new PrismError("RATE_LIMITED", "Too many messages", { retryAfterMs: Math.max(1, state.waitMs(1)) });
  }

  #addPending(senderId: string, count: number): void {
    const pending = (this.#pending.get(senderId) ?? 0) + count;
    if (pending === 0) this.#pending.delete(senderId);
    else this.#pending.set(senderId, pending);
  }
}

/** The caller's role for a message: sender, recipient after delivery, or reader of metadata. */
type Part = "sender" | "recipient" | "reader";

/**
 * Message, job and audit row share a transaction. @throws RECIPIENT_NOT_FOUND, RATE_LIMITED,
 * VALIDATION_FAILED, OVERLOADED
 */
export function sendMessage(
  context: MessagesContext,
  rate: SendingRate,
  exchange: Exchange,
  principal: UserPrincipal,
  body: SendMessage,
) {
  const { idempotency, storage } = context;
  return rate.run(exchange, principal.userId, (requireRoom) =>
    idempotency.run(exchange, principal, body, async (trx) => {
      requireRoom();
      storage.requireSpace();
      return new Reply(202, await storeMessage(context, trx, principal.userId, body));
    }),
  );
}

async function storeMessage(context: MessagesContext, trx: Trx, senderId: string, body: SendMessage) {
  const { users, jobs, audit, clock, box, realtime } = context;
  const now = clock.now();
  const delayMs = delayOf(context, body, now);
  const deliverAt = now + delayMs;
  const path = body.recipientId === undefined ? "recipient_id" : "recipientId";
  const recipientId = await users.correspondent(body[path] ?? "", senderId, trx, path);
  const id = uuidv7();
  const correlationId = currentCaller().correlationId ?? id;
  const payload: MessageJob = { messageId: id };
  const queued = { queue: "messages", kind: MESSAGE_JOB, payload, createdBy: senderId, correlationId } as const;
  const { jobId } = await jobs.enqueue({ ...queued, runAt: deliverAt }, { trx });
  const steps: readonly queries.MessageStep[] = [{ status: "scheduled", at: now }];
  const row = Message.newRow(
    {},
    {
      ...{ id, senderId, recipientId, content: sealContent(box, id, body.content), status: "scheduled" },
      ...{ delayMs, deliverAt, jobId, history: JSON.stringify(steps), correlationId, createdAt: now, updatedAt: now },
    },
  );
  insertLater(trx, "messages", row);
  const metadata = { recipientId, delayMs };
  await audit.record({ action: "message.send", resourceType: "message", resourceId: id, metadata }, { trx });
  await realtime.publishAll(statusEntries(row), { trx });
  const at = { deliverAt: toRfc3339(deliverAt), createdAt: toRfc3339(now) };
  return { id, status: "scheduled" as const, delayMs, senderId, recipientId, ...at };
}

/** `sendAt`, otherwise `delayMs`, otherwise the configured delay. @throws VALIDATION_FAILED */
function delayOf(context: MessagesContext, { sendAt, delayMs }: SendMessage, now: number): number {
  const { defaultDelayMs, maxDelayMs } = context.settings.messages;
  // The operator may configure a default above the maximum.
  if (sendAt === undefined && delayMs === undefined) return defaultDelayMs;
  const wanted = sendAt === undefined ? (delayMs ?? 0) : Math.max(0, sendAt - now);
  if (wanted <= maxDelayMs) return wanted;
  const path = sendAt === undefined ? "delayMs" : "sendAt";
  throw invalidField("body", path, `must be at most ${maxDelayMs} ms from now`);
}

/**
 * The caller's messages with their content; another user's without.
 * @throws UNAUTHORIZED_ROLE, USER_NOT_FOUND, VALIDATION_FAILED, INVALID_CURSOR
 */
export async function listMessages(
  context: MessagesContext,
  principal: PermissionHolder,
  { userId: ref = "me", box = "all", with: other, status, ...page }: ListMessages,
) {
  const { db, users } = context;
  const userId = users.findAny(ref);
  const isOwn = userId === principal.userId;
  const needed = isOwn ? "messages:own" : "messages:read_all";
  if (!principal.permissions.has(needed)) throw missingPermission(needed);
  if (userId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  const request = readPage(page, ["number", "string"]);
  const [deliverAt, id] = request.after ?? [];
  const filter = { userId, box, withId: other === undefined ? undefined : (users.findAny(other) ?? other), status };
  const source = queries.isIndexed(filter) && !isFarPage(request) ? db.read : db.scan;
  const rows = await queries.listMessages(source, filter, {
    after: request.after ? { deliverAt: Number(deliverAt), id: String(id) } : null,
    limit: request.limit + 1,
    offset: request.offset,
  });
  const total = request.wantsTotal ? await queries.countMessages(db.scan, filter) : undefined;
  return pageBody(
    request,
    rows.map(asShown),
    (row) => (isOwn ? messageView(context.box, row) : Message.view(row)),
    (row) => [row.deliverAt, row.id],
    total,
  );
}

/** @throws MESSAGE_NOT_FOUND */
export async function getMessage(context: MessagesContext, principal: PermissionHolder, id: string) {
  const { message, part } = await findVisible(context.db.read, principal, id);
  return part === "reader" ? Message.view(asShown(message)) : shownView(context, message);
}

/** A message's current state and history. @throws MESSAGE_NOT_FOUND */
export async function messageStatus(context: MessagesContext, principal: PermissionHolder, id: string) {
  const { message } = await findVisible(context.db.read, principal, id);
  const { shownStatus, queue, attempts, deliverAt, deliveredAt, readAt, lastError } = message;
  const isOver = deliveredAt !== null || shownStatus === "cancelled";
  return {
    id: message.id,
    status: shownStatus,
    queue: isOver ? null : queue,
    attempts,
    deliverAt: toRfc3339(deliverAt),
    deliveredAt: toRfc3339OrNull(deliveredAt),
    readAt: toRfc3339OrNull(readAt),
    ...(lastError === null ? {} : { lastError }),
    history: stepsOf(message).map(({ status, at }) => ({ status, at: toRfc3339(at) })),
  };
}

/** Keeps the first time. @throws MESSAGE_NOT_FOUND for callers other than the recipient */
export function readMessage(context: MessagesContext, principal: PermissionHolder, id: string) {
  const { db, clock } = context;
  return db.write(async (trx) => {
    const { message } = await findVisible(trx, principal, id);
    if (message.recipientId !== principal.userId || message.deliveredAt === null) throw noSuchMessage();
    if (message.readAt !== null) return shownView(context, message);
    const at = clock.now();
    const read = await moveTo(context, trx, message, "read", { readAt: at, at });
    return shownView(context, { ...read, shownStatus: "read" });
  });
}

/**
 * Cancels a pending message, also between two attempts. Cancelling its job writes the status.
 * @throws MESSAGE_NOT_FOUND for callers other than the sender, MESSAGE_NOT_CANCELLABLE
 */
export async function cancelMessage(context: MessagesContext, principal: PermissionHolder, id: string) {
  const { db, audit, jobControl } = context;
  await db.write(async (trx) => {
    const { message, part } = await findVisible(trx, principal, id);
    if (part !== "sender") throw noSuchMessage();
    const { shownStatus, jobId } = message;
    if (shownStatus !== "scheduled" && shownStatus !== "queued" && shownStatus !== "retrying")
      throw new PrismError(
        "MESSAGE_NOT_CANCELLABLE",
        `The message is ${shownStatus}; only one that waits can be cancelled`,
      );
    await jobControl.cancel(jobId, { trx });
    await audit.record({ action: "message.cancel", resourceType: "message", resourceId: id }, { trx });
  });
  return { status: "cancelled" } as const;
}

/** @throws MESSAGE_NOT_FOUND, also for the recipient before delivery */
async function findVisible(
  db: ReadDb | Trx,
  principal: PermissionHolder,
  id: string,
): Promise<{ readonly message: queries.TrackedMessage; readonly part: Part }> {
  const message = isUuid(id) ? await queries.findMessage(db, id) : undefined;
  const part = message && partOf(message, principal);
  if (!message || !part) throw noSuchMessage();
  return { message, part };
}

function shownView(context: MessagesContext, message: queries.TrackedMessage) {
  return messageView(context.box, asShown(message));
}

function partOf(message: queries.TrackedMessage, principal: PermissionHolder): Part | undefined {
  const { userId, permissions } = principal;
  if (mayUseMessages(principal)) {
    if (message.senderId === userId) return "sender";
    if (message.recipientId === userId && message.deliveredAt !== null) return "recipient";
  }
  return permissions.has("messages:read_all") ? "reader" : undefined;
}

function asShown(message: queries.TrackedMessage): queries.TrackedMessage {
  return { ...message, status: message.shownStatus };
}

function noSuchMessage(): PrismError {
  return new PrismError("MESSAGE_NOT_FOUND", "No such message");
}
