import * as v from "valibot";
import { once } from "../../core/once.ts";
import { maskOf } from "../../core/text/redact.ts";
import type { AnswerOf } from "../../http/api/resource.ts";
import { doc, example, jsonObject, named, object, pageEntries, text } from "../../http/api/shapes.ts";
import { boolean, Channel, type ChannelRow, MAX_TEMPLATE_BYTES } from "./channel.ts";
import { CLASSES, GROUPS, type Preset } from "./preset.ts";
import type { Texts } from "./store.ts";

/** A bundle of certificates. */
const MAX_FIELD = 16_384;

const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: a channel of the caller"));
const userId = v.optional(
  doc(text(128, 1), "Id or username of the owner; only the operator of the machine names another user"),
);
export const FieldText = text(MAX_FIELD);
const fieldValue = v.union([FieldText, v.number(), v.null()], "must be a string, a number or null");

const fields = doc(
  v.record(v.string(), fieldValue),
  "Values of the preset's fields. In a change, missing ones keep their value and null removes one",
);

export const CreateChannel = () =>
  example(object({ ...Channel.forCreate, fields, projectId, userId }), {
    name: "On-call room",
    preset: "ntfy",
    fields: { url: "https://ntfy.example.org", topic: "on-call" },
  });
export type CreateChannel = v.InferOutput<ReturnType<typeof CreateChannel>>;

/** Members that are missing stay as they are. */
export const UpdateChannel = () =>
  example(object({ ...Channel.forUpdate, fields: v.optional(fields) }), {
    minPriority: 500,
    active: true,
  });
export type UpdateChannel = v.InferOutput<ReturnType<typeof UpdateChannel>>;

export const ChannelParams = object({ id: doc(v.string(), "Id of the channel") });

export const ListChannels = object({
  projectId,
  scope: v.optional(
    doc(v.picklist(["own", "all"]), "`all`: of all users and projects; needs `projects:all`; default `own`"),
  ),
  ...pageEntries(),
});
export type ListChannels = v.InferOutput<typeof ListChannels>;

export const TestChannel = example(
  object({
    dryRun: v.optional(doc(boolean, "Show the request only; nothing is sent")),
    update: v.optional(doc(boolean, "Then change the message to resolved, if the service can")),
    event: v.optional(
      doc(jsonObject(MAX_TEMPLATE_BYTES), "The message: `title`, `message`, `severity`, `status`; or an event"),
    ),
  }),
  { dryRun: true },
);
export type TestChannel = v.InferOutput<typeof TestChannel>;

export type ChannelView = AnswerOf<typeof Channel>;

/** The answer to a change. */
export const ChangedChannel = once(() =>
  named(
    "ChangedChannel",
    "A channel, with what would keep its messages from arriving",
    v.object({
      ...Channel.shown,
      warnings: v.array(v.object({ code: v.picklist(["channel-untested", "channel-disabled"]), message: v.string() })),
    }),
  ),
);
export type ChangedChannel = v.InferOutput<ReturnType<typeof ChangedChannel>>;

export function channelWarnings({ name, active, acceptedAt }: ChannelRow): ChangedChannel["warnings"] {
  if (active === 0) return [{ code: "channel-disabled", message: `The channel ${name} is disabled` }];
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
  return Channel.view(row, { fields: Object.fromEntries(shown) as Record<string, string> });
}
