import { UnsealError } from "../../../../core/sealed-box.ts";
import { matchesType } from "../../../../live/protocols/event-filter.ts";
import type { ReadDb, Trx } from "../../../../store/database.ts";
import { PermanentError, RetryLater } from "../../../jobs/index.ts";
import { notificationView } from "../../../notifications/index.ts";
import type { SoundServices } from "../../../sounds/index.ts";
import { type AttemptFacts, PreparedSender } from "../../prepared-sender.ts";
import { DeadTarget, NOBODY, type NotificationFacts, type Target, type TargetSource } from "../../sender.ts";
import { type SignedCall, signedCall, type WebhookCallParts } from "./webhook-call.ts";
import { WebhookCaller } from "./webhook-caller.ts";
import { WebhookHealth, type WebhookHealthParts } from "./webhook-health.ts";
import * as queries from "./webhook-queries.ts";

export interface WebhookSenderParts extends WebhookCallParts, WebhookHealthParts {
  readonly sounds: Pick<SoundServices, "urlOf">;
}

/** The type by which webhooks are chosen for notifications that no event has made. */
const WITHOUT_EVENT = "notification";

/**
 * Notifications as calls of webhooks (contract 7). A user's own webhooks are called for what that user is told; a project's once for each
 * notification of the project, whoever it reaches: such a delivery is nobody's, its `userId` is empty, and it shows the notification as its first
 * recipient by id has it.
 */
export class WebhookSender extends PreparedSender<SignedCall> {
  readonly channel = "webhook";
  readonly isProviderEach = true;
  protected readonly caller: WebhookCaller;
  readonly #parts: WebhookSenderParts;
  readonly #health: WebhookHealth;

  constructor(parts: WebhookSenderParts) {
    super();
    this.#parts = parts;
    this.caller = new WebhookCaller(parts.fetch, parts.clock);
    this.#health = new WebhookHealth(parts);
  }

  async targets(
    userIds: readonly string[],
    { projectId, eventId }: NotificationFacts,
    db: ReadDb | Trx,
  ): Promise<readonly Target[]> {
    const hooks = [
      ...(await queries.hooksOfUsers(db, userIds)),
      ...(projectId === null ? [] : await queries.hooksOfProject(db, projectId)),
    ];
    if (hooks.length === 0) return [];
    const type = (eventId === null ? undefined : await queries.typeOfEvent(db, eventId)) ?? WITHOUT_EVENT;
    const isWanted = ({ eventTypes }: queries.Hook): boolean =>
      (JSON.parse(eventTypes) as string[]).some((pattern) => matchesType(pattern, type));
    return hooks.filter(isWanted).map(({ id, userId }) => ({ userId: userId ?? NOBODY, target: id }));
  }

  async sourceOf(target: string): Promise<TargetSource | undefined> {
    const webhook = await queries.findWebhook(this.#parts.database.read, target);
    if (!webhook) return undefined;
    const { url, userId, projectId } = webhook;
    return { host: new URL(url).host, owner: userId ?? `project ${projectId}` };
  }

  async prepare({ delivery, notification }: AttemptFacts): Promise<SignedCall> {
    const { database, sounds } = this.#parts;
    const webhook = await queries.findWebhook(database.read, delivery.target);
    if (!webhook) throw new DeadTarget("the webhook has been deleted");
    if (webhook.active === 0) throw new DeadTarget("the webhook is disabled");
    const userId = delivery.userId === NOBODY ? null : delivery.userId;
    const recipient = await queries.findRecipient(database.read, notification.id, userId);
    if (!recipient) throw new PermanentError("the notification has no recipient any more");
    const data = notificationView(notification, recipient, null, sounds.urlOf);
    try {
      return signedCall(this.#parts, webhook, { id: delivery.id, at: notification.createdAt, data });
    } catch (error) {
      // A secret that no key opens is lost.
      throw error instanceof UnsealError ? new PermanentError(error.message, { cause: error }) : error;
    }
  }

  override async accepted({ delivery }: AttemptFacts): Promise<void> {
    await this.#health.succeeded(delivery.target);
  }

  /** Counts the failure where it is the webhook's. One that says when to come back, one that is gone: neither fails. */
  override async failed({ delivery }: AttemptFacts, error: unknown): Promise<unknown> {
    if (error instanceof RetryLater || error instanceof DeadTarget) return error;
    const isDisabled = await this.#health.failed(delivery.target);
    return isDisabled ? new DeadTarget(`the webhook has failed too often: ${messageOf(error)}`) : error;
  }

  async disable(target: string, trx: Trx): Promise<void> {
    await this.#health.disable(target, "gone", trx);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
