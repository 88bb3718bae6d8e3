import { PrismError } from "../../base/errors.ts";
import { UnsealError } from "../../base/sealed-box.ts";
import { PermanentError, RetryLater } from "../../jobs/job.ts";
import { notificationView } from "../../pipeline/views.ts";
import { matchesType } from "../../realtime/event-filter.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { SoundServices } from "../sounds/open-sounds.ts";
import { HostUnknown } from "./outside-hosts.ts";
import { readRetryAfter } from "./retry-after.ts";
import type { SafeAnswer } from "./safe-fetch.ts";
import {
  type Accepted,
  type Attempt,
  DeadTarget,
  NOBODY,
  type NotificationFacts,
  type Sender,
  type Target,
} from "./sender.ts";
import { callWebhook, type WebhookCallParts, type WebhookRow } from "./webhook-call.ts";
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
export class WebhookSender implements Sender {
  readonly channel = "webhook";
  readonly isConfigured = true;
  readonly isProviderEach = true;
  readonly #parts: WebhookSenderParts;
  readonly #health: WebhookHealth;

  constructor(parts: WebhookSenderParts) {
    this.#parts = parts;
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

  async send(attempt: Attempt): Promise<Accepted> {
    const { target } = attempt.delivery;
    const webhook = await queries.findWebhook(this.#parts.database.read, target);
    if (!webhook) throw new DeadTarget("the webhook has been deleted");
    if (webhook.active === 0) throw new DeadTarget("the webhook is disabled");
    try {
      this.#requireTaken(await this.#call(webhook, attempt));
    } catch (error) {
      throw await this.#noted(error, attempt);
    }
    await this.#health.succeeded(target);
    return {};
  }

  async disable(target: string, trx: Trx): Promise<void> {
    await this.#health.disable(target, "gone", trx);
  }

  async #call(webhook: WebhookRow, { delivery, notification, signal }: Attempt): Promise<SafeAnswer> {
    const userId = delivery.userId === NOBODY ? null : delivery.userId;
    const recipient = await queries.findRecipient(this.#parts.database.read, notification.id, userId);
    if (!recipient) throw new PermanentError("the notification has no recipient any more");
    const data = notificationView(notification, recipient, null, this.#parts.sounds.urlOf);
    return callWebhook(this.#parts, webhook, { id: delivery.id, at: notification.createdAt, data, signal });
  }

  /** @throws what another status than 2xx means */
  #requireTaken({ status, headers }: SafeAnswer): void {
    if (status >= 200 && status < 300) return;
    const says = `the webhook answered ${status}`;
    if (status === 410) throw new DeadTarget(says);
    const waitMs = readRetryAfter(headers["retry-after"], this.#parts.clock.now());
    if (status === 429 || (status === 503 && waitMs !== undefined)) throw new RetryLater(says, waitMs ?? 0);
    throw new Error(status >= 300 && status < 400 ? `${says}; redirects are not followed` : says);
  }

  /** Counts the failure where it is the webhook's. @returns what is to be thrown */
  async #noted(thrown: unknown, { delivery, signal }: Attempt): Promise<unknown> {
    const error = asOutcome(thrown);
    // A server that is being stopped, one that says when to come back, one that is gone: none of them fails.
    if (signal.aborted || error instanceof RetryLater || error instanceof DeadTarget) return error;
    const isDisabled = await this.#health.failed(delivery.target);
    return isDisabled ? new DeadTarget(`the webhook has failed too often: ${messageOf(error)}`) : error;
  }
}

/** A URL that is refused stays refused, but for a name without an address at the moment; a secret that does not open is lost. */
function asOutcome(error: unknown): unknown {
  const isRefused =
    error instanceof PrismError && error.code === "URL_REFUSED" && !(error.cause instanceof HostUnknown);
  if (isRefused || error instanceof UnsealError) return new PermanentError(messageOf(error), { cause: error });
  return error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
