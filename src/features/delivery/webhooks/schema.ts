import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../../core/clock.ts";
import { pageEntries } from "../../../http/pagination.ts";
import { doc, example, integer, named, object, selfChanging, text } from "../../../http/shapes.ts";
import { EventTypePattern } from "../../events/index.ts";
import type { WebhookRow } from "../channels/webhook/message.ts";

const MAX_PATTERNS = 50;
const MAX_GRACE_MS = 604_800_000;
/** How long the old secret goes on signing beside a new one, unless the caller says otherwise. */
export const DEFAULT_GRACE_MS = 86_400_000;

const url = doc(text(2048, 1), "https URL of a public address; see /docs/webhooks");
const eventTypes = doc(
  v.pipe(
    v.array(EventTypePattern),
    v.minLength(1, "must name at least one type"),
    v.maxLength(MAX_PATTERNS, `must be at most ${MAX_PATTERNS} types`),
  ),
  'Event types or prefixes that it is called for; `notification` for those without an event. Default ["*"]',
);
const active = doc(v.boolean("must be true or false"), "False disables it; default true");
const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: a webhook of the caller"));

export const CreateWebhook = example(
  object({ url, projectId, eventTypes: v.optional(eventTypes), active: v.optional(active) }),
  { url: "https://example.com/hooks/prism", eventTypes: ["order.*", "payment.failed"] },
);
export type CreateWebhook = v.InferOutput<typeof CreateWebhook>;

/** Members that are missing stay as they are. */
export const UpdateWebhook = example(
  v.pipe(
    object({
      url: v.optional(url),
      eventTypes: v.optional(eventTypes),
      active: v.optional(doc(active, "True enables it again and resets its failures")),
      rotateSecret: v.optional(doc(active, "True: returns a new secret, only this once")),
      graceMs: v.optional(
        doc(
          integer(0, MAX_GRACE_MS),
          `With rotateSecret: time for which the old secret also signs; default ${DEFAULT_GRACE_MS}`,
        ),
      ),
    }),
    v.check(
      ({ rotateSecret, graceMs }) => graceMs === undefined || rotateSecret === true,
      "graceMs goes with rotateSecret: true",
    ),
  ),
  { eventTypes: ["*"], active: true },
);
export type UpdateWebhook = v.InferOutput<typeof UpdateWebhook>;

export const WebhookParams = object({ id: doc(v.string(), "Id of the webhook") });

export const ListWebhooks = object({
  projectId,
  scope: v.optional(
    doc(v.picklist(["own", "all"]), "`all`: those of all users and projects; needs `projects:all`; default `own`"),
  ),
  include: v.optional(doc(v.picklist(["result"]), "`result`: the last result of each")),
  ...pageEntries(),
});
export type ListWebhooks = v.InferOutput<typeof ListWebhooks>;

export const WebhookView = named(
  "Webhook",
  "A webhook, without its secret",
  v.object({
    id: v.string(),
    projectId: v.nullable(v.string()),
    userId: doc(v.nullable(v.string()), "Owner; null for a webhook of a project"),
    url: v.string(),
    eventTypes: v.array(v.string()),
    active: v.boolean(),
    failures: selfChanging(doc(v.number(), "Consecutive failed attempts")),
    disabledAt: selfChanging(
      doc(v.nullable(v.string()), "Time when it was disabled because the receiver answered 410"),
    ),
    previousSecretUntil: selfChanging(
      doc(v.nullable(v.string()), "End of the time in which the previous secret also signs"),
    ),
    createdBy: v.nullable(v.string()),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
export type WebhookView = v.InferOutput<typeof WebhookView>;

export const ListedWebhook = named(
  "ListedWebhook",
  "A webhook, with its last result if it was asked for",
  v.object({
    ...WebhookView.entries,
    lastResult: v.optional(
      doc(
        v.nullable(
          v.object({
            state: v.picklist(["delivered", "failed", "dead"]),
            at: v.string(),
            error: v.nullable(v.string()),
          }),
        ),
        "From the newest 20 000 deliveries; null without one",
      ),
    ),
  }),
);

/** Of a webhook that is made or is given a new secret. */
export const WebhookWithSecret = named(
  "WebhookWithSecret",
  "A webhook; with its secret when it is new",
  v.object({
    ...WebhookView.entries,
    secret: v.optional(doc(v.string(), "`whsec_` and 32 bytes in base64, returned only once")),
  }),
);

export const TestView = named(
  "WebhookTest",
  "The result of the test call",
  v.object({
    webhookId: doc(v.string(), "Header `webhook-id` of the call"),
    delivered: doc(v.boolean(), "Whether the answer was 2xx"),
    status: doc(v.nullable(v.number()), "Status of the answer; null without an answer"),
    error: doc(v.nullable(v.string()), "Reason of a failure"),
  }),
);
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
