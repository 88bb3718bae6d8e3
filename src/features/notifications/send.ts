import type * as v from "valibot";
import type { Principal } from "../../core/caller.ts";
import { invalidField } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import { Reply, type Shown } from "../../http/api/route.ts";
import { requireLink, requireServed } from "../../http/api/shapes.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { Uses } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import { inboxItemView, type NotificationsContext } from "./inbox.ts";
import type { NotificationInput, When } from "./notifier.ts";
import * as queries from "./queries.ts";
import {
  MAX_DELAY_MS,
  newNotificationView,
  type ScheduledReply,
  type SendNotification,
  type SentNotification,
  UNTOUCHED,
} from "./schema.ts";
import { requireSound } from "./sounds/index.ts";

type Sent = Shown<v.InferInput<typeof SentNotification> | v.InferInput<typeof ScheduledReply>>;

/** POST /notifications: one without a rule. A key reaches only its project's members. */
export async function sendNotification(
  context: NotificationsContext & Uses<"channels" | "notify">,
  exchange: Exchange,
  principal: Principal,
  body: SendNotification,
): Promise<Reply<Sent>> {
  const { db, idempotency } = context;
  requireServed(body.channels, context.channels);
  requireLink(body.action?.url, "action.url", context.config);
  const sound = await requireSound(body.sound, db.read);
  const when = readWhen(body, context.clock.now());
  const input: NotificationInput = {
    recipients: body.recipients ?? [body.userId ?? ""],
    title: body.title,
    message: body.message ?? body.body ?? "",
    sound,
    action: body.action,
    data: body.data,
    priority: body.priority ?? 0,
    projectId: principal.kind === "apiKey" ? principal.projectId : null,
    dedupeKey: body.dedupeKey,
    channels: body.channels,
  };
  const unknown = context.users.unknown(input.recipients);
  return idempotency.run<Sent>(exchange, principal, body, async (trx) => {
    context.storage.requireSpace();
    const made = async () => {
      const newRecipients = await context.users.madeOf(unknown, trx);
      return newRecipients.length === 0 ? {} : { newRecipients };
    };
    if (when) {
      const { jobId, runAt } = await context.notify.schedule(input, when, { trx });
      return new Reply(202, { jobId, runAt: toRfc3339(runAt), ...(await made()) });
    }
    const { id, notified } = await context.notify.sendNew(input, { trx });
    const [first] = notified;
    const userIds = notified.map(({ recipient }) => recipient.userId);
    const view = first
      ? newNotificationView(first, userIds, context.sounds.urlOf)
      : await asSenderSees(trx, id, principal, context);
    return new Reply(201, { ...view, ...(await made()) });
  });
}

/** A notification that has not been delivered. */
const UNDELIVERED = { delivered: 0, deliveredAt: null, pusherEventSent: 0, recipientDelivered: 0 } as const;

/**
 * The notification that a repeated `dedupeKey` finds, for all recipients, as the sender sees it:
 * callers who may read all see its recipients' responses, others get the original answer.
 */
async function asSenderSees(trx: Trx, id: string, principal: Principal, context: NotificationsContext) {
  const row = await queries.findAnywhere(trx, id);
  if (!row) throw new TypeError("a notification without recipients was stored");
  const all = await queries.allRecipients(trx, id);
  if (principal.kind !== "apiKey" && principal.permissions.has("notifications:read_all"))
    return inboxItemView(row, all, context);
  const first = { ...row, ...UNTOUCHED, ...UNDELIVERED };
  return inboxItemView(first, { recipients: all.recipients, acknowledgedBy: [] }, context);
}

/** The requested time of sending; null for now. @throws VALIDATION_FAILED if too far ahead */
function readWhen({ sendAt, delayMs }: Pick<SendNotification, "sendAt" | "delayMs">, now: number): When | null {
  if (sendAt === undefined && delayMs === undefined) return null;
  if (sendAt !== undefined && sendAt > now + MAX_DELAY_MS) {
    throw invalidField("body", "sendAt", "must be within 365 days");
  }
  return { at: sendAt, delayMs };
}
