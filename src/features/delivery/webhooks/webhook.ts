import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { listing } from "../../../http/api/listing.ts";
import {
  bytes,
  column,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, selfChanging, text } from "../../../http/api/shapes.ts";
import { owned } from "../../access/index.ts";
import { EventTypePattern } from "../../events/index.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    webhooks: WebhookRow;
  }
}

const MAX_PATTERNS = 50;
export const boolean = v.boolean("must be true or false");

/** A URL of a user or a project that is called for notifications. */
export const Webhook = resource("Webhook", "A webhook, without its secret", "webhooks", () => ({
  id: stored(v.string()),
  projectId: stored(v.nullable(v.string())).or(null),
  userId: stored(doc(v.nullable(v.string()), "Owner; null for a webhook of a project")).or(null),
  url: given(text(2048, 1), "https URL of a public address; see /docs/webhooks"),
  eventTypes: given(
    v.pipe(
      v.array(EventTypePattern),
      v.minLength(1, "must name at least one type"),
      v.maxLength(MAX_PATTERNS, `must be at most ${MAX_PATTERNS} types`),
    ),
    'Event types or prefixes that it is called for; `notification` for those without an event. Default ["*"]',
    json<string[]>(),
  ).or('["*"]'),
  active: given(boolean, "False disables it; default true", flag).or(1),
  failures: stored(selfChanging(doc(v.number(), "Consecutive failed attempts"))).or(0),
  disabledAt: stored(
    selfChanging(doc(v.nullable(v.string()), "Time when it was disabled because the receiver answered 410")),
    orNull(time),
  ).or(null),
  previousSecretUntil: column(v.nullable(v.number()))
    .or(null)
    .shownAs(selfChanging(doc(v.nullable(v.string()), "End of the time in which the previous secret also signs"))),
  createdBy: stored(v.nullable(v.string())),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  secret: column(bytes),
  previousSecret: column(v.nullable(bytes)).or(null),
}));
export type WebhookRow = RowOf<typeof Webhook>;

export const webhookList = listing(Webhook, () => ({}));

export const webhookAccess = owned<WebhookRow, Principal>(Webhook, {
  read: "events:read",
  write: "events:read",
  missing: "WEBHOOK_NOT_FOUND",
  noun: "webhook",
  ofNone: (principal, { userId }) =>
    principal.kind === "operator" || (principal.kind !== "apiKey" && principal.userId === userId),
});
