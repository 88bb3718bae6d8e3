import { createHmac, randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { SealedBox } from "../../../../core/sealed-box.ts";
import type { WebhooksTable } from "../../../../store/schema.ts";

/** As Standard Webhooks writes secrets, so that scanners know them. */
const PREFIX = "whsec_";
const SECRET_BYTES = 32;

/** Column and row of a webhook's sealed secret. */
export function secretPlace(column: "secret" | "previousSecret", webhookId: string): string {
  return `webhooks.${column}.${webhookId}`;
}

export interface NewSecret {
  /** Shown once. */
  readonly text: string;
  readonly sealed: Buffer;
}

export function newSecret(box: SealedBox, webhookId: string): NewSecret {
  const key = randomBytes(SECRET_BYTES);
  return { text: PREFIX + key.toString("base64"), sealed: box.seal(secretPlace("secret", webhookId), key) };
}

/** The secret in force, to be kept beside the one that takes its place. @throws UnsealError */
export function asPrevious(box: SealedBox, { id, secret }: Pick<WebhooksTable, "id" | "secret">): Buffer {
  return box.seal(secretPlace("previousSecret", id), box.open(secretPlace("secret", id), secret));
}

/** The keys that sign at this moment: the new one first, and during a rotation the old one. @throws UnsealError */
export function signingKeys(box: SealedBox, webhook: Selectable<WebhooksTable>, now: number): readonly Buffer[] {
  const { id, secret, previousSecret, previousSecretUntil } = webhook;
  const current = box.open(secretPlace("secret", id), secret);
  if (previousSecret === null || previousSecretUntil === null || previousSecretUntil <= now) return [current];
  return [current, box.open(secretPlace("previousSecret", id), previousSecret)];
}

/**
 * The header `webhook-signature` of Standard Webhooks: one `v1` signature per key, HMAC-SHA-256 over id, timestamp and body.
 * @param timestamp seconds, as in the header `webhook-timestamp`
 */
export function signatureOf(keys: readonly Buffer[], id: string, timestamp: number, body: Buffer): string {
  return keys
    .map((key) => `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`)
    .join(" ");
}
