import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../../core/clock.ts";
import { pageEntries } from "../../../http/pagination.ts";
import { integer, named, object, selfChanging, text } from "../../../http/shapes.ts";
import { EventTypePattern } from "../../events/index.ts";
import type { WebhookRow } from "../channels/webhook/message.ts";

const MAX_PATTERNS = 50;
const MAX_GRACE_MS = 604_800_000;
/** How long the old secret goes on signing beside a new one, unless the caller says otherwise. */
export const DEFAULT_GRACE_MS = 86_400_000;

const url = v.pipe(text(2048, 1), v.description("https, to a public address; see docs/webhooks.md"));
const eventTypes = v.pipe(
  v.array(EventTypePattern),
  v.minLength(1, "must name at least one type"),
  v.maxLength(MAX_PATTERNS, `must be at most ${MAX_PATTERNS} types`),
  v.description(
    'Which notifications it is called for, by the type of their event; those without an event count as notification. Default ["*"]',
  ),
);
const active = v.boolean("must be true or false");
const projectId = v.optional(
  v.pipe(
    text(64, 1),
    v.description("Id or slug: the project's webhook, called for each of its notifications; default: one's own"),
  ),
);

export const CreateWebhook = object({
  url,
  projectId,
  eventTypes: v.optional(eventTypes),
  active: v.optional(active),
});
export type CreateWebhook = v.InferOutput<typeof CreateWebhook>;

/** Members that are missing stay as they are. */
export const UpdateWebhook = v.pipe(
  object({
    url: v.optional(url),
    eventTypes: v.optional(eventTypes),
    active: v.optional(v.pipe(active, v.description("true also forgets what has failed"))),
    rotateSecret: v.optional(v.pipe(active, v.description("true: a new secret, which the answer shows once"))),
    graceMs: v.optional(
      v.pipe(
        integer(0, MAX_GRACE_MS),
        v.description(`With rotateSecret: how long the old secret signs too; default ${DEFAULT_GRACE_MS}`),
      ),
    ),
  }),
  v.check(
    ({ rotateSecret, graceMs }) => graceMs === undefined || rotateSecret === true,
    "graceMs goes with rotateSecret: true",
  ),
);
export type UpdateWebhook = v.InferOutput<typeof UpdateWebhook>;

export const WebhookParams = object({ id: v.string() });

export const ListWebhooks = object({ projectId, ...pageEntries() });
export type ListWebhooks = v.InferOutput<typeof ListWebhooks>;

export const WebhookView = named(
  "Webhook",
  v.object({
    id: v.string(),
    projectId: v.nullable(v.string()),
    userId: v.pipe(v.nullable(v.string()), v.description("Whose it is; null for a project's")),
    url: v.string(),
    eventTypes: v.array(v.string()),
    active: v.boolean(),
    failures: selfChanging(
      v.pipe(v.number(), v.description("Attempts that have failed in a row; the 50th disables the webhook")),
    ),
    disabledAt: selfChanging(
      v.pipe(v.nullable(v.string()), v.description("When it was disabled for its failures, or for answering 410")),
    ),
    previousSecretUntil: selfChanging(
      v.pipe(v.nullable(v.string()), v.description("Until when a secret of before signs too")),
    ),
    createdBy: v.nullable(v.string()),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
export type WebhookView = v.InferOutput<typeof WebhookView>;

/** Of a webhook that is made or is given a new secret. */
export const WebhookWithSecret = named(
  "WebhookWithSecret",
  v.object({
    ...WebhookView.entries,
    secret: v.optional(v.pipe(v.string(), v.description("whsec_ and 32 bytes in base64; shown this once"))),
  }),
);

export const TestView = v.object({
  webhookId: v.pipe(v.string(), v.description("The header webhook-id of the call")),
  delivered: v.pipe(v.boolean(), v.description("Whether the answer was 2xx")),
  status: v.pipe(v.nullable(v.number()), v.description("What the other side answered; null for nothing")),
  error: v.pipe(v.nullable(v.string()), v.description("Why it was not delivered")),
});
export type TestView = v.InferOutput<typeof TestView>;

export function webhookView(webhook: WebhookRow, now: number): WebhookView {
  const { previousSecretUntil: until } = webhook;
  return {
    id: webhook.id,
    projectId: webhook.projectId,
    userId: webhook.userId,
    url: webhook.url,
    eventTypes: JSON.parse(webhook.eventTypes) as string[],
    active: webhook.active === 1,
    failures: webhook.failures,
    disabledAt: toRfc3339OrNull(webhook.disabledAt),
    previousSecretUntil: toRfc3339OrNull(until !== null && until > now ? until : null),
    createdBy: webhook.createdBy,
    version: webhook.version,
    createdAt: toRfc3339(webhook.createdAt),
    updatedAt: toRfc3339(webhook.updatedAt),
  };
}
