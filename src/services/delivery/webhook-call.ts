import type { Selectable } from "kysely";
import { type Clock, toRfc3339 } from "../../base/clock.ts";
import type { SealedBox } from "../../base/sealed-box.ts";
import { VERSION } from "../../base/version.ts";
import type { WebhooksTable } from "../../store/schema.ts";
import type { SafeAnswer, SafeFetch } from "./safe-fetch.ts";
import { signatureOf, signingKeys } from "./webhook-secrets.ts";

export type WebhookRow = Selectable<WebhooksTable>;

export interface WebhookMessage {
  /** The same for every attempt: by it the other side knows what it has had. */
  readonly id: string;
  /** Epoch ms; of what is told, not of the attempt. */
  readonly at: number;
  /** A notification as its recipient sees it. */
  readonly data: unknown;
  readonly signal?: AbortSignal;
}

export interface WebhookCallParts {
  readonly fetch: SafeFetch;
  readonly box: SealedBox;
  readonly clock: Clock;
}

/** Posts one message to a webhook, signed by Standard Webhooks. @throws as SafeFetch.request does; UnsealError */
export function callWebhook(
  { fetch, box, clock }: WebhookCallParts,
  webhook: WebhookRow,
  { id, at, data, signal }: WebhookMessage,
): Promise<SafeAnswer> {
  const now = clock.now();
  const timestamp = Math.floor(now / 1000);
  const body = Buffer.from(JSON.stringify({ type: "notification", timestamp: toRfc3339(at), data }));
  return fetch.request(webhook.url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "User-Agent": `Prism/${VERSION}`,
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureOf(signingKeys(box, webhook, now), id, timestamp, body),
    },
    body,
    ...(signal ? { signal } : {}),
  });
}
