import { createHmac, randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { type Clock, toRfc3339 } from "../../../../core/clock.ts";
import { VERSION } from "../../../../core/runtime.ts";
import type { SealedBox } from "../../../../core/sealed-box.ts";
import type { WebhooksTable } from "../../../../store/schema.ts";
import type { SafeAnswer, SafeFetch } from "./safe-fetch.ts";

/** As Standard Webhooks writes secrets, so that scanners know them. */
const PREFIX = "whsec_";
const SECRET_BYTES = 32;

/** Column and row of a webhook's sealed secret. */
export function secretPlace(column: "secret" | "previousSecret", webhookId: string): string {
  return `webhooks.${column}.${webhookId}`;
}

/** @returns `text` is shown once, `sealed` is stored */
export function newSecret(box: SealedBox, webhookId: string): { readonly text: string; readonly sealed: Buffer } {
  const key = randomBytes(SECRET_BYTES);
  return { text: PREFIX + key.toString("base64"), sealed: box.seal(secretPlace("secret", webhookId), key) };
}

/** The secret in force, to be kept beside the one that takes its place. @throws UnsealError */
export function asPrevious(box: SealedBox, { id, secret }: Pick<WebhooksTable, "id" | "secret">): Buffer {
  return box.seal(secretPlace("previousSecret", id), box.open(secretPlace("secret", id), secret));
}

/**
 * The keys that sign at this moment: the new one first, and during a rotation the old one. @throws
 * UnsealError
 */
export function signingKeys(box: SealedBox, webhook: Selectable<WebhooksTable>, now: number): readonly Buffer[] {
  const { id, secret, previousSecret, previousSecretUntil } = webhook;
  const current = box.open(secretPlace("secret", id), secret);
  if (previousSecret === null || previousSecretUntil === null || previousSecretUntil <= now) return [current];
  return [current, box.open(secretPlace("previousSecret", id), previousSecret)];
}

/**
 * The header `webhook-signature` of Standard Webhooks: one `v1` signature per key, HMAC-SHA-256
 * over id, timestamp and body.
 * @param timestamp seconds, as in the header `webhook-timestamp`
 */
export function signatureOf(keys: readonly Buffer[], id: string, timestamp: number, body: Buffer): string {
  return keys
    .map((key) => `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`)
    .join(" ");
}

export type WebhookRow = Selectable<WebhooksTable>;

interface WebhookMessage {
  /** The same for every attempt: by it the other side knows what it has had. */
  readonly id: string;
  /** Epoch ms; of the notification, not of the attempt. */
  readonly at: number;
  /** A notification as its recipient sees it. */
  readonly data: unknown;
}

/**
 * A request to a webhook, with its signature: the process that makes it need not know the secret.
 */
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
  parts: SigningParts & { readonly fetch: SafeFetch },
  webhook: WebhookRow,
  message: WebhookMessage,
): Promise<SafeAnswer> {
  return post(parts.fetch, signedCall(parts, webhook, message));
}
