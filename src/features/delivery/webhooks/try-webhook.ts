import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import { notificationView } from "../../notifications/index.ts";
import { callWebhook } from "../channels/webhook/message.ts";
import type { TestView } from "./schema.ts";
import { beginTest, type WebhooksContext } from "./service.ts";

/** Tests under way at the same time: each holds a request open for up to ten seconds. */
const MAX_TESTS = 8;
const RETRY_AFTER_MS = 1000;

/** Calls webhooks so that users see whether they work. The result is not counted: it is no delivery. */
export class WebhookTester {
  readonly #context: WebhooksContext;
  #running = 0;

  constructor(context: WebhooksContext) {
    this.#context = context;
  }

  /** @throws WEBHOOK_NOT_FOUND, URL_REFUSED, OVERLOADED */
  async run(principal: UserPrincipal, id: string): Promise<TestView> {
    if (this.#running >= MAX_TESTS)
      throw new PrismError("OVERLOADED", "Too many webhooks are being tested", { retryAfterMs: RETRY_AFTER_MS });
    this.#running++;
    try {
      return await this.#call(principal, id);
    } finally {
      this.#running--;
    }
  }

  async #call(principal: UserPrincipal, id: string): Promise<TestView> {
    const { clock } = this.#context;
    const webhook = await beginTest(this.#context, principal, id);
    const webhookId = uuidv7();
    const at = clock.now();
    try {
      const data = testNotification(webhookId, principal.userId, webhook.projectId, at);
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
  const recipient = { userId, seq: 0, delivered: 0, readAt: null, acknowledgedAt: null, openedAt: null } as const;
  return notificationView(notification, recipient, null, () => null);
}
