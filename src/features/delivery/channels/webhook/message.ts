import type { Selectable } from "kysely";
import { type Clock, toRfc3339 } from "../../../../core/clock.ts";
import type { SealedBox } from "../../../../core/sealed-box.ts";
import { VERSION } from "../../../../core/version.ts";
import type { WebhooksTable } from "../../../../store/schema.ts";
import type { SafeAnswer, SafeFetch } from "./safe-fetch.ts";
import { signatureOf, signingKeys } from "./secrets.ts";

export type WebhookRow = Selectable<WebhooksTable>;

export interface WebhookMessage {
  /** The same for every attempt: by it the other side knows what it has had. */
  readonly id: string;
  /** Epoch ms; of what is told, not of the attempt. */
  readonly at: number;
  /** A notification as its recipient sees it. */
  readonly data: unknown;
}

/** A request to a webhook, with its signature: the process that makes it need not know the secret. */
export interface SignedCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, to be sent byte for byte: the signature is over it. */
  readonly body: string;
}

export interface SigningParts {
  readonly box: SealedBox;
  readonly clock: Clock;
}

export interface WebhookCallParts extends SigningParts {
  readonly fetch: SafeFetch;
}

/** The request of one attempt, signed by Standard Webhooks at this moment. @throws UnsealError */
export function signedCall({ box, clock }: SigningParts, webhook: WebhookRow, message: WebhookMessage): SignedCall {
  const { id, at, data } = message;
  const now = clock.now();
  const timestamp = Math.floor(now / 1000);
  const body = JSON.stringify({ type: "notification", timestamp: toRfc3339(at), data });
  return {
    url: webhook.url,
    headers: {
      "Content-Type": "application/json",
      "User-Agent": `Prism/${VERSION}`,
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureOf(signingKeys(box, webhook, now), id, timestamp, Buffer.from(body)),
    },
    body,
  };
}

/** @throws as SafeFetch.request does */
export function post(fetch: SafeFetch, { url, headers, body }: SignedCall, signal?: AbortSignal): Promise<SafeAnswer> {
  return fetch.request(url, { method: "POST", headers, body: Buffer.from(body), ...(signal ? { signal } : {}) });
}

/** Posts one message to a webhook. @throws as SafeFetch.request does; UnsealError */
export async function callWebhook(
  parts: WebhookCallParts,
  webhook: WebhookRow,
  message: WebhookMessage,
): Promise<SafeAnswer> {
  return post(parts.fetch, signedCall(parts, webhook, message));
}
