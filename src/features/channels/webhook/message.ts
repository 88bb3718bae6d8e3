import { randomBytes } from "node:crypto";
import { hmac } from "../../../core/crypto/hmac.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { VERSION } from "../../../core/runtime.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { WebhookRow } from "../../delivery/webhooks/webhook.ts";
import type { SafeAnswer } from "./kept-connections.ts";
import type { SafeFetch } from "./safe-fetch.ts";

/** The prefix of secrets in Standard Webhooks, known to secret scanners. */
const PREFIX = "whsec_";
const SECRET_BYTES = 32;

/** Seal context of a webhook's secret: column and row. */
export function secretSealContext(column: "secret" | "previousSecret", webhookId: string): string {
  return `webhooks.${column}.${webhookId}`;
}

/** @returns `text` is shown once, `sealed` is stored */
export function newSecret(box: SealedBox, webhookId: string): { readonly text: string; readonly sealed: Buffer } {
  const key = randomBytes(SECRET_BYTES);
  return { text: PREFIX + key.toString("base64"), sealed: box.seal(secretSealContext("secret", webhookId), key) };
}

/** Seals the current secret as the previous one, for a rotation. @throws UnsealError */
export function asPrevious(box: SealedBox, { id, secret }: Pick<WebhookRow, "id" | "secret">): Buffer {
  return box.seal(secretSealContext("previousSecret", id), box.open(secretSealContext("secret", id), secret));
}

/** The current signing keys: during a rotation the new one, then the old. @throws UnsealError */
export function signingKeys(box: SealedBox, webhook: WebhookRow, now: number): readonly Buffer[] {
  const { id, secret, previousSecret, previousSecretUntil } = webhook;
  const current = box.open(secretSealContext("secret", id), secret);
  if (previousSecret === null || previousSecretUntil === null || previousSecretUntil <= now) return [current];
  return [current, box.open(secretSealContext("previousSecret", id), previousSecret)];
}

/**
 * The header `webhook-signature` of Standard Webhooks: one `v1` signature per key, HMAC-SHA-256
 * over id, timestamp and body.
 * @param timestamp seconds, as in the header `webhook-timestamp`
 */
export function signatureOf(keys: readonly Buffer[], id: string, timestamp: number, body: Buffer): string {
  return keys
    .map((key) => `v1,${hmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`)
    .join(" ");
}

interface WebhookMessage {
  /** The same for every attempt, so that receivers can deduplicate. */
  readonly id: string;
  /** Epoch ms of the notification, not of the attempt. */
  readonly at: number;
  /** The notification as its recipient sees it. */
  readonly data: unknown;
}

/** A signed request to a webhook. The process that sends it need not know the secret. */
export interface SignedCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, sent byte for byte because the signature covers it. */
  readonly body: string;
}

export type SigningParts = Uses<"box" | "clock">;

/** The request of one attempt, signed now by Standard Webhooks. @throws UnsealError */
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

/** @throws the errors of SafeFetch.request */
export function post(fetch: SafeFetch, { url, headers, body }: SignedCall, signal?: AbortSignal): Promise<SafeAnswer> {
  return fetch.request(url, { method: "POST", headers, body: Buffer.from(body), ...(signal ? { signal } : {}) });
}

/** Posts one message to a webhook. @throws the errors of SafeFetch.request; UnsealError */
export async function callWebhook(
  parts: SigningParts & { readonly fetch: SafeFetch },
  webhook: WebhookRow,
  message: WebhookMessage,
): Promise<SafeAnswer> {
  return post(parts.fetch, signedCall(parts, webhook, message));
}
