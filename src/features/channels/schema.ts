import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { maskOf } from "../../core/text/redact.ts";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, integer, jsonObject, named, object, selfChanging, text } from "../../http/shapes.ts";
import { EventTypePattern } from "../events/index.ts";
import { CLASSES, GROUPS, type Preset } from "./preset.ts";
import type { ChannelRow, Texts } from "./store.ts";

const MAX_PATTERNS = 50;
/** A bundle of certificates. */
const MAX_FIELD = 16_384;
const MAX_TEMPLATE_BYTES = 65_536;

const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: a channel of the caller"));
const userId = v.optional(
  doc(text(128, 1), "Id or username of the owner; only the operator of the machine names another user"),
);
const flag = v.boolean("must be true or false");
const fieldValue = v.union([text(MAX_FIELD), v.number(), v.null()], "must be a string, a number or null");

const entries = {
  name: doc(text(100, 1), "Name for people"),
  eventTypes: v.optional(
    doc(
      v.pipe(v.array(EventTypePattern), v.minLength(1, "must name at least one type"), v.maxLength(MAX_PATTERNS)),
      'Event types or prefixes to send for; `notification` for those without an event. Default ["*"]',
    ),
  ),
  minPriority: v.optional(doc(integer(0, 1000), "Notifications of lower priority are not sent. Default 0")),
  sendResolved: v.optional(doc(flag, "Whether the end of an alert is a new message if its first one cannot change")),
  acknowledgeLink: v.optional(
    doc(
      flag,
      "Whether messages of incidents have a link that acknowledges without a login. Default true; a project's channels only",
    ),
  ),
  template: v.optional(
    doc(
      v.nullable(jsonObject(MAX_TEMPLATE_BYTES)),
      "The channel's own `title` and `message` templates; for the preset `http` also `request`, `ok` and `errors`",
    ),
  ),
  active: v.optional(doc(flag, "False disables it; default true")),
};

const fields = doc(
  v.record(v.string(), fieldValue),
  "Values of the preset's fields. In a change, missing ones keep their value and null removes one",
);

export const CreateChannel = example(
  object({ ...entries, preset: doc(text(40, 1), "Name of the preset"), fields, projectId, userId }),
  { name: "On-call room", preset: "ntfy", fields: { url: "https://ntfy.example.org", topic: "on-call" } },
);
export type CreateChannel = v.InferOutput<typeof CreateChannel>;

/** Members that are missing stay as they are. */
export const UpdateChannel = example(
  object({ ...entries, name: v.optional(entries.name), fields: v.optional(fields) }),
  { minPriority: 500, active: true },
);
export type UpdateChannel = v.InferOutput<typeof UpdateChannel>;

export const ChannelParams = object({ id: doc(v.string(), "Id of the channel") });

export const ListChannels = object({
  projectId,
  scope: v.optional(
    doc(v.picklist(["own", "all"]), "`all`: those of all users and projects; needs `projects:all`; default `own`"),
  ),
  ...pageEntries(),
});
export type ListChannels = v.InferOutput<typeof ListChannels>;

export const TestChannel = example(
  object({
    dryRun: v.optional(doc(flag, "Show the request only; nothing is sent")),
    update: v.optional(doc(flag, "Then change the message to resolved, if the service can")),
    event: v.optional(
      doc(jsonObject(MAX_TEMPLATE_BYTES), "The message: `title`, `message`, `severity`, `status`; or an event"),
    ),
  }),
  { dryRun: true },
);
export type TestChannel = v.InferOutput<typeof TestChannel>;

export const ChannelView = named(
  "Channel",
  "A channel, without its secrets",
  v.object({
    id: v.string(),
    name: v.string(),
    preset: v.string(),
    projectId: v.nullable(v.string()),
    userId: doc(v.nullable(v.string()), "Owner; null for a channel of a project"),
    fields: doc(
      v.record(v.string(), v.string()),
      "Secrets are `••••`, with their last four characters if they are long",
    ),
    eventTypes: v.array(v.string()),
    minPriority: v.number(),
    sendResolved: v.boolean(),
    acknowledgeLink: v.boolean(),
    template: v.nullable(v.record(v.string(), v.unknown())),
    active: v.boolean(),
    failures: selfChanging(doc(v.number(), "Consecutive failures")),
    disabledAt: selfChanging(v.nullable(v.string())),
    disabledReason: selfChanging(doc(v.nullable(v.string()), "Why Prism disabled it")),
    acceptedAt: selfChanging(
      doc(
        v.nullable(v.string()),
        "When it last accepted a message or a test with its present settings, to about an hour; null: never",
      ),
    ),
    createdBy: v.nullable(v.string()),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
export type ChannelView = v.InferOutput<typeof ChannelView>;

/** The answer to a change. */
export const ChangedChannel = named(
  "ChangedChannel",
  "A channel, with what would keep its messages from arriving",
  v.object({
    ...ChannelView.entries,
    warnings: v.array(v.object({ code: v.picklist(["channel-untested", "channel-disabled"]), message: v.string() })),
  }),
);
export type ChangedChannel = v.InferOutput<typeof ChangedChannel>;

export function channelWarnings({ name, active, acceptedAt }: ChannelView): ChangedChannel["warnings"] {
  if (!active) return [{ code: "channel-disabled", message: `The channel ${name} is disabled` }];
  if (acceptedAt !== null) return [];
  const message = `The channel ${name} has accepted no message with its present settings: send a test`;
  return [{ code: "channel-untested", message: `${message} (prism channels test)` }];
}

const request = v.object({
  method: v.string(),
  url: v.string(),
  headers: v.record(v.string(), v.string()),
  body: v.nullable(v.string()),
});

const result = {
  class: doc(v.nullable(v.picklist(CLASSES)), "Meaning of the answer; null for a dry run"),
  status: doc(v.nullable(v.number()), "Status of the answer; null without one"),
  error: v.nullable(v.string()),
  hint: doc(v.nullable(v.string()), "What to do about it"),
  request: doc(v.nullable(request), "The request without secrets"),
  answer: doc(v.nullable(v.string()), "The first KiB of the answer without secrets"),
  ref: doc(v.nullable(v.record(v.string(), v.string())), "Ids of the message at the service"),
  cut: doc(v.array(v.string()), "Paths of texts that were shortened and of parts that were dropped"),
  ms: doc(v.number(), "Duration of the request"),
};

export const TestResult = named(
  "ChannelTest",
  "The result of a test message",
  v.object({ ...result, update: doc(v.nullable(v.object(result)), "The result of the change") }),
);
export type TestResult = v.InferOutput<typeof TestResult>;

const presetField = v.object({
  key: v.string(),
  title: v.string(),
  secret: v.boolean(),
  type: v.string(),
  required: v.boolean(),
  choices: v.nullable(v.array(v.string())),
  pattern: v.nullable(v.string()),
  hint: v.nullable(v.string()),
  default: v.nullable(v.string()),
  example: v.string(),
});

export const PresetView = named(
  "ChannelPreset",
  "A service to which channels send",
  v.object({
    name: v.string(),
    title: v.string(),
    group: v.picklist(GROUPS),
    docs: doc(v.string(), "Page in docs/integrations"),
    setup: doc(v.array(v.string()), "How to set it up, in three lines"),
    fields: v.array(presetField),
    can: doc(v.array(v.string()), "`update`, `thread`, `acknowledge`, `resolve`: what later messages of an alert do"),
    custom: doc(v.boolean(), "Whether a channel may have its own request"),
  }),
);
export type PresetView = v.InferOutput<typeof PresetView>;

export function presetView(preset: Preset): PresetView {
  const { name, title, group, docs, setup, custom } = preset;
  const can = (["update", "thread", "acknowledge", "resolve"] as const).filter((step) => preset[step] !== undefined);
  const shown = preset.fields.map(({ choices, pattern, hint, default: value, ...field }) => ({
    ...field,
    choices: choices ?? null,
    pattern: pattern ?? null,
    hint: hint ?? null,
    default: value ?? null,
  }));
  return { name, title, group, docs, setup, fields: shown, can, custom };
}

/** @param all its fields with the secrets; null if no key opens them */
export function channelView(row: ChannelRow, preset: Preset | undefined, all: Texts | null): ChannelView {
  const isSecret = (key: string): boolean => preset?.fields.find((each) => each.key === key)?.secret ?? true;
  const plain = JSON.parse(row.fields) as Texts;
  const shown = Object.entries(all ?? plain).map(([key, value]) => [
    key,
    Object.hasOwn(plain, key) && !isSecret(key) ? value : maskOf(value),
  ]);
  return {
    id: row.id,
    name: row.name,
    preset: row.preset,
    projectId: row.projectId,
    userId: row.userId,
    fields: Object.fromEntries(shown) as Record<string, string>,
    eventTypes: JSON.parse(row.eventTypes) as string[],
    minPriority: row.minPriority,
    sendResolved: row.sendResolved === 1,
    acknowledgeLink: row.acknowledgeLink === 1,
    template: row.template === null ? null : (JSON.parse(row.template) as Record<string, unknown>),
    active: row.active === 1,
    failures: row.failures,
    disabledAt: toRfc3339OrNull(row.disabledAt),
    disabledReason: row.disabledReason,
    acceptedAt: toRfc3339OrNull(row.acceptedAt),
    createdBy: row.createdBy,
    version: row.version,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
  };
}
