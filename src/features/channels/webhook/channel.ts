import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import { matchesType } from "../../../live/stream.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import {
  type Answer,
  type Attempt,
  type ChannelCalls,
  type DeliveryChannel,
  type NotificationFacts,
  PROJECT_RECIPIENT,
  type Target,
  TargetGone,
  type TargetSource,
} from "../../delivery/channel.ts";
import { notificationView } from "../../notifications/index.ts";
import type { SoundServices } from "../../notifications/sounds/index.ts";
import { PermanentError, RetryLater } from "../../time/jobs/index.ts";
import { type SignedCall, type SigningParts, signedCall } from "./message.ts";
import * as queries from "./queries.ts";

export interface WebhookContext extends SigningParts, queries.WebhookHealthContext {
  readonly sounds: Pick<SoundServices, "urlOf">;
}

/** Event type that selects webhooks for notifications without an event. */
const WITHOUT_EVENT = "notification";

/**
 * Sends notifications as webhook calls. A user's webhooks are called for each of the user's
 * notifications; a project's once per notification of the project. Such a delivery has no user and
 * shows the notification as its first recipient by id sees it.
 */
export function webhookChannel(context: WebhookContext, calls: ChannelCalls<SignedCall>): DeliveryChannel<SignedCall> {
  return {
    name: "webhook",
    isConfigured: calls.isConfigured,
    perTargetCircuit: true,
    targets: targetsOf,
    prepare: (attempt) => prepare(context, attempt),
    call: (message, signal) => calls.call(message, signal),
    interpret: (attempt, answer) => interpret(context, attempt, answer),
    sourceOf: (target) => sourceOf(context, target),
    disable: async (target, trx) => {
      await queries.disableWebhook(context, target, trx);
    },
  };
}

async function targetsOf(
  userIds: readonly string[],
  { projectId, eventId }: NotificationFacts,
  db: ReadDb | Trx,
): Promise<readonly Target[]> {
  const active = db.selectFrom("webhooks").select(["id", "userId", "eventTypes"]).where("active", "=", 1);
  const hooks = [
    ...(await active.where("userId", "in", userIds).execute()),
    ...(projectId === null ? [] : await active.where("projectId", "=", projectId).execute()),
  ];
  if (hooks.length === 0) return [];
  const named = db.selectFrom("events").select("type");
  const event = eventId === null ? undefined : await named.where("id", "=", eventId).executeTakeFirst();
  const { type } = event ?? { type: WITHOUT_EVENT };
  const isWanted = ({ eventTypes }: (typeof hooks)[number]): boolean =>
    (JSON.parse(eventTypes) as string[]).some((pattern) => matchesType(pattern, type));
  return hooks.filter(isWanted).map(({ id, userId }) => ({ userId: userId ?? PROJECT_RECIPIENT, target: id }));
}

async function sourceOf({ db }: WebhookContext, target: string): Promise<TargetSource | undefined> {
  const webhook = await queries.findWebhook(db.read, target);
  if (!webhook) return undefined;
  const { url, userId, projectId } = webhook;
  return { host: new URL(url).host, owner: userId ?? `project ${projectId}` };
}

async function prepare(
  context: WebhookContext,
  { delivery, notification, isPage = false }: Attempt,
): Promise<SignedCall> {
  const { db, sounds } = context;
  const webhook = await queries.findWebhook(db.read, delivery.target);
  if (!webhook) throw new TargetGone("the webhook has been deleted");
  // A page waits until it is enabled again.
  if (webhook.active === 0) throw new (isPage ? PermanentError : TargetGone)("the webhook is disabled");
  const userId = delivery.userId === PROJECT_RECIPIENT ? null : delivery.userId;
  const recipient = await queries.findRecipient(db.read, notification.id, userId);
  if (!recipient) throw new PermanentError("the notification has no recipients left");
  const data = notificationView(notification, recipient, null, sounds.urlOf);
  try {
    return signedCall(context, webhook, { id: delivery.id, at: notification.createdAt, data });
  } catch (error) {
    // A secret that no key opens is lost.
    throw error instanceof UnsealError ? new PermanentError(error.message, { cause: error }) : error;
  }
}

/** Counts failures of the webhook, except answers with a retry time or that it is gone. */
async function interpret(context: WebhookContext, { delivery }: Attempt, answer: Answer): Promise<Answer> {
  const { target } = delivery;
  if ("accepted" in answer) {
    await queries.recordSuccess(context, target);
    return answer;
  }
  const { failure } = answer;
  if (failure instanceof RetryLater || failure instanceof TargetGone) return answer;
  await queries.recordFailure(context, target);
  return answer;
}
