import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { instant, integer, jsonObject, object, queryBoolean, text, uuid } from "../../http/shapes.ts";
import { Action, CHANNELS, ChannelList } from "../../services/notifications/message-parts.ts";

const entries = {
  name: text(255, 1),
  description: text(4000),
  condition: v.pipe(
    v.string("must be a string"),
    v.minLength(1, "must not be empty"),
    v.description("See docs/rules.md"),
  ),
  targetRoles: v.pipe(
    v.array(text(100, 1)),
    v.maxLength(32),
    v.description("Names or ids of roles; their active holders hear of it"),
  ),
  targetUsers: v.pipe(v.array(text(128, 1)), v.maxLength(1000)),
  channels: ChannelList,
  titleTemplate: text(255, 1),
  messageTemplate: text(4000, 1),
  sound: v.nullable(text(255, 1)),
  action: v.nullable(Action),
  priority: integer(0, 1000),
  active: v.boolean("must be true or false"),
  projectId: v.nullable(
    v.pipe(v.string(), v.maxLength(64), v.description("Id or slug; null: events of every project")),
  ),
};

export const CreateRule = object({
  name: entries.name,
  description: v.optional(entries.description),
  condition: entries.condition,
  targetRoles: v.optional(entries.targetRoles),
  targetUsers: v.optional(entries.targetUsers),
  channels: v.optional(entries.channels),
  titleTemplate: v.optional(entries.titleTemplate),
  messageTemplate: v.optional(entries.messageTemplate),
  sound: v.optional(entries.sound),
  action: v.optional(entries.action),
  priority: v.optional(entries.priority),
  active: v.optional(entries.active),
  projectId: v.optional(entries.projectId),
});
export type CreateRule = v.InferOutput<typeof CreateRule>;

/** Members that are missing stay as they are. */
export const UpdateRule = object({
  ...CreateRule.entries,
  name: v.optional(entries.name),
  condition: v.optional(entries.condition),
});
export type UpdateRule = v.InferOutput<typeof UpdateRule>;

export const SORTS = ["name", "priority", "createdAt", "updatedAt"] as const;

export const ListRules = object({
  active: v.optional(queryBoolean),
  q: v.optional(text(100)),
  projectId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  createdBy: v.optional(uuid),
  targetRole: v.optional(text(100, 1)),
  sort: v.optional(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const]))),
  ...pageEntries(),
});
export type ListRules = v.InferOutput<typeof ListRules>;

export const TestRule = object({
  condition: v.string("must be a string"),
  event: v.optional(jsonObject(262_144)),
  eventId: v.optional(uuid),
  templates: v.optional(
    object({
      title: v.optional(v.pipe(v.string(), v.maxLength(255))),
      message: v.optional(v.pipe(v.string(), v.maxLength(4000))),
    }),
  ),
});
export type TestRule = v.InferOutput<typeof TestRule>;

export const RuleParams = object({ id: v.string() });
export const VersionsQuery = object(pageEntries());
export type VersionsQuery = v.InferOutput<typeof VersionsQuery>;
export const StatsQuery = object({ from: v.optional(instant), to: v.optional(instant) });

const counts = {
  matched: v.number(),
  fired: v.number(),
  suppressed: v.number(),
  deduped: v.number(),
  cooled: v.number(),
  limited: v.number(),
  noRecipients: v.number(),
  errors: v.number(),
  lastMatchedAt: v.nullable(v.string()),
  lastError: v.nullable(v.string()),
};

export const RuleView = v.object({
  id: v.string(),
  projectId: v.nullable(v.string()),
  name: v.string(),
  description: v.string(),
  condition: v.string(),
  targetRoles: v.array(v.string()),
  targetUsers: v.array(v.string()),
  channels: v.array(v.picklist(CHANNELS)),
  titleTemplate: v.string(),
  messageTemplate: v.string(),
  sound: v.nullable(v.string()),
  action: v.nullable(v.record(v.string(), v.unknown())),
  priority: v.number(),
  active: v.boolean(),
  version: v.number(),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  stats: v.object(counts),
});

export const StatsView = v.object({
  ...counts,
  perDay: v.array(v.object({ day: v.string(), matched: v.number(), fired: v.number() })),
});

export const VersionView = v.object({
  version: v.number(),
  definition: v.record(v.string(), v.unknown()),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
});

export const TestReply = v.object({
  matched: v.boolean(),
  value: v.unknown(),
  trace: v.array(v.object({ pos: v.number(), text: v.string(), value: v.unknown() })),
  error: v.optional(v.string()),
  title: v.optional(v.string()),
  message: v.optional(v.string()),
});
