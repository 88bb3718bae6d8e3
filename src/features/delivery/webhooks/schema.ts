import * as v from "valibot";
import { once } from "../../../core/once.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { AnswerOf } from "../../../http/api/resource.ts";
import { doc, example, integer, named, object, pageEntries, text } from "../../../http/api/shapes.ts";
import { boolean, Webhook, type WebhookRow } from "./webhook.ts";

export const PATH = "/api/v1/webhooks";
const MAX_GRACE_MS = 604_800_000;
/** How long the old secret also signs beside a new one, unless the caller says otherwise. */
export const DEFAULT_GRACE_MS = 86_400_000;

const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: a webhook of the caller"));

export const CreateWebhook = () =>
  example(object({ ...Webhook.forCreate, projectId }), {
    url: "https://example.com/hooks/prism",
    eventTypes: ["order.*", "payment.failed"],
  });
export type CreateWebhook = v.InferOutput<ReturnType<typeof CreateWebhook>>;

/** Members that are missing stay as they are. */
export const UpdateWebhook = () =>
  example(
    v.pipe(
      object({
        ...Webhook.forUpdate,
        active: v.optional(doc(boolean, "True enables it again and resets its failures")),
        rotateSecret: v.optional(doc(boolean, "True: returns a new secret, only this once")),
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
export type UpdateWebhook = v.InferOutput<ReturnType<typeof UpdateWebhook>>;

export const WebhookParams = object({ id: doc(v.string(), "Id of the webhook") });

export const ListWebhooks = object({
  projectId,
  scope: v.optional(
    doc(v.picklist(["own", "all"]), "`all`: of all users and projects; needs `projects:all`; default `own`"),
  ),
  include: v.optional(doc(v.picklist(["result"]), "`result`: the last result of each")),
  ...pageEntries(),
});
export type ListWebhooks = v.InferOutput<typeof ListWebhooks>;

export type WebhookView = AnswerOf<typeof Webhook>;

export const ListedWebhook = once(() =>
  named(
    "ListedWebhook",
    "A webhook, with its last result if it was asked for",
    v.object({
      ...Webhook.shown,
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
  ),
);

/** A webhook that is new or has a new secret. */
export const WebhookWithSecret = once(() =>
  named(
    "WebhookWithSecret",
    "A webhook; with its secret when it is new",
    v.object({
      ...Webhook.shown,
      secret: v.optional(doc(v.string(), "`whsec_` and 32 bytes in base64, returned only once")),
    }),
  ),
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
  return Webhook.view(webhook, { previousSecretUntil: toRfc3339OrNull(until !== null && until > now ? until : null) });
}
