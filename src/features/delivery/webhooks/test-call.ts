import { type PermissionHolder, personKey } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { Slots } from "../../../core/limits/slots.ts";
import { callWebhook } from "../../channels/webhook/message.ts";
import { notificationView, UNTOUCHED } from "../../notifications/index.ts";
import { recordWebhook, type WebhooksContext } from "./manage.ts";
import type { TestView } from "./schema.ts";
import { webhookAccess } from "./webhook.ts";

/** Calls webhooks for users who test them. The result is not counted: it is no delivery. */
export class WebhookTester {
  readonly #context: WebhooksContext;
  /** Each holds a request open for up to ten seconds. */
  readonly #slots = new Slots({ total: 8, perOwner: 4, what: "tests of webhooks" });

  constructor(context: WebhooksContext) {
    this.#context = context;
  }

  /** @throws WEBHOOK_NOT_FOUND, INVALID_STATE for a mirror, URL_REFUSED, RATE_LIMITED, OVERLOADED */
  async run(principal: PermissionHolder, id: string): Promise<TestView> {
    // Callers without the right must not take the slots of others.
    await webhookAccess.visible(this.#context.projects, principal, id, this.#context.db.read);
    return this.#slots.run(personKey(principal), () => this.#call(principal, id));
  }

  async #call(principal: PermissionHolder, id: string): Promise<TestView> {
    const { clock, db, projects } = this.#context;
    const webhook = await db.write(async (trx) => {
      const found = await webhookAccess.visible(projects, principal, id, trx);
      projects.requireLeaves(found.projectId);
      await recordWebhook(this.#context, "test", found, trx);
      return found;
    });
    const webhookId = uuidv7();
    const at = clock.now();
    try {
      const data = testNotification(webhookId, principal.userId ?? "", webhook.projectId, at);
      const { status } = await callWebhook(this.#context, webhook, { id: webhookId, at, data });
      const delivered = status >= 200 && status < 300;
      return { webhookId, delivered, status, error: delivered ? null : `the webhook answered ${status}` };
    } catch (error) {
      if (error instanceof PrismError) throw error;
      return {
        webhookId,
        delivered: false,
        status: null,
        error: error instanceof Error ? error.message : String(error),
      };
    }
  }
}

/** Looks like any other notification; it is neither stored nor sent elsewhere. */
function testNotification(id: string, userId: string, projectId: string | null, createdAt: number) {
  const notification = {
    id,
    ruleId: null,
    eventId: null,
    projectId,
    kind: "direct",
    title: "Test",
    message: "Prism can reach this webhook.",
    sound: null,
    action: null,
    data: JSON.stringify({ test: true }),
    priority: 0,
    aggregateCount: 1,
    delivered: 0,
    pusherEventSent: 0,
    correlationId: id,
    createdAt,
    deliveredAt: null,
  } as const;
  return notificationView(notification, { ...UNTOUCHED, userId, seq: 0 }, null, () => null);
}
