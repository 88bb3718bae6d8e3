import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import {
  doc,
  example,
  named,
  object,
  pageBody,
  pageEntries,
  pageOf,
  pattern,
  readPage,
  text,
} from "../../../http/api/shapes.ts";
import { holderOf, requireAccount } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import type { Projects } from "../../access/index.ts";
import { requireTopic, TOPIC } from "./parameters.ts";
import { cancelAllScheduled, DELETE_TOPIC_KIND, hideMessages } from "./retention.ts";
import type { TopicRow, Topics } from "./topics.ts";

export interface TopicContext extends Uses<"db" | "clock" | "projects" | "audit" | "jobs"> {
  readonly ntfy: {
    readonly topics: Pick<Topics, "readableBy">;
    /** Subscriptions that are open. */
    readonly open: Iterable<{ readonly topics: readonly string[] }>;
  };
}

const PATH = "/api/v1/ntfy/topics";
const MAX_PATTERNS = 20;
const ALL_TYPES = ["*"];

const Kind = v.picklist(["messages", "events", "inbox"]);

const TopicView = named(
  "NtfyTopic",
  "A topic of ntfy's API",
  v.object({
    name: v.string(),
    kind: doc(Kind, "Published messages, events of a project shown as messages, or a user's notifications"),
    projectId: v.nullable(v.string()),
    userId: doc(v.nullable(v.string()), "The user of the notifications in an inbox"),
    patterns: doc(v.array(v.string()), "Types of events that the topic shows"),
    subscribers: doc(v.number(), "Connections that are open to it; an app that only polls has none"),
    createdAt: v.string(),
  }),
);

const name = doc(pattern(TOPIC, "must be up to 64 letters, digits, - and _"), "Name, as clients subscribe to it");
const patterns = v.optional(
  doc(
    v.pipe(v.array(text(100, 1)), v.maxLength(MAX_PATTERNS)),
    "For events: types, a last `*` matches any rest; default all",
  ),
);
/** Of topics of a project. */
export const topicEntries = {
  name,
  kind: doc(v.picklist(["messages", "events"]), "Published messages, or events shown as messages"),
  patterns,
};
export type GivenTopic = v.InferOutput<v.StrictObjectSchema<typeof topicEntries, undefined>>;

const CreateTopic = example(
  object({
    name,
    kind: doc(Kind, "An inbox belongs to the caller and needs no project"),
    projectId: v.optional(doc(text(64, 1), "Id or slug; default: the default project")),
    patterns,
  }),
  { name: "deployments", kind: "events", patterns: ["deploy.*"] },
);
type CreateTopic = v.InferOutput<typeof CreateTopic>;

const ListTopics = object({
  projectId: v.optional(doc(text(64, 1), "Id or slug of a project; default: all that the caller reads")),
  ...pageEntries(),
});
type ListTopics = v.InferOutput<typeof ListTopics>;
const TopicParams = object({ name: doc(v.string(), "Name of the topic") });

/** Topics in Prism's own API. Topics of messages also come to be when they are first used. */
export function topicRoutes(context: TopicContext): Route[] {
  const shared = { tag: "ntfy", access: {} } as const;
  return [
    route({
      ...shared,
      method: "GET",
      path: PATH,
      id: "listNtfyTopics",
      summary: "List the topics of ntfy that the caller may read, by name",
      access: { tokenScopes: ["events:read", "notifications:own"] },
      query: ListTopics,
      response: pageOf(TopicView),
      errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
      handle: (exchange, { query }) => listTopics(context, holderOf(exchange), query),
    }),
    route({
      ...shared,
      method: "POST",
      path: PATH,
      id: "createNtfyTopic",
      summary: "Create a topic of ntfy",
      details: "Topics of messages and events need `events:write` in their project.",
      access: { tokenScopes: ["events:write", "notifications:own"] },
      body: CreateTopic,
      status: 201,
      response: TopicView,
      errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", "LIMIT_REACHED"],
      handle: (exchange, { body }) => createTopic(context, holderOf(exchange), body),
    }),
    route({
      ...shared,
      method: "DELETE",
      path: `${PATH}/:name`,
      id: "deleteNtfyTopic",
      summary: "Delete a topic of ntfy with its messages; its subscribers are disconnected",
      access: { tokenScopes: ["events:write", "notifications:own"] },
      params: TopicParams,
      errors: ["NOT_FOUND"],
      handle: (exchange, { params }) => deleteTopic(context, holderOf(exchange), params.name),
    }),
  ];
}

async function listTopics({ db, projects, ntfy }: TopicContext, principal: PermissionHolder, query: ListTopics) {
  const request = readPage(query, ["string"]);
  const ids = projects.readable(principal, "events:read", query.projectId);
  const filtered = db.read.selectFrom("ntfy_topics").where((e) => {
    const inProject = ids === null ? e("projectId", "is not", null) : e("projectId", "in", [...ids]);
    if (query.projectId !== undefined) return inProject;
    const given = principal.userId === null ? [] : ntfy.topics.readableBy(principal.userId);
    return e.or([inProject, e("userId", "=", principal.userId ?? ""), e("name", "in", given)]);
  });
  const { after, limit, offset } = request;
  const rows = await (after ? filtered.where("name", ">", String(after[0])) : filtered)
    .selectAll()
    .orderBy("name")
    .limit(limit + 1)
    .offset(offset)
    .execute();
  const total = request.wantsTotal ? await countOf(filtered) : undefined;
  const subscribers = subscribersOf(ntfy.open);
  const viewOf = (row: TopicRow) => topicView(row, subscribers.get(row.name));
  return pageBody(request, rows, viewOf, (row) => [row.name], total);
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED */
async function createTopic(context: TopicContext, principal: PermissionHolder, input: CreateTopic) {
  const { db, projects } = context;
  requireFreeWord(input.name);
  const isInbox = input.kind === "inbox";
  const projectId = isInbox ? null : projects.requireOrDefault(principal, input.projectId, "events:write");
  const userId = isInbox ? requireAccount(principal).userId : null;
  const row = newTopic(context, principal, { ...input, projectId, userId });
  await db.write((trx) => insertTopic(context, trx, row));
  return topicView(row);
}

export function newTopic(
  { clock }: Pick<TopicContext, "clock">,
  { userId: createdBy }: PermissionHolder,
  input: Pick<CreateTopic, "name" | "kind" | "patterns"> & Pick<TopicRow, "projectId" | "userId">,
): TopicRow {
  const { name, kind, projectId, userId } = input;
  const patterns = JSON.stringify(patternsOf(input));
  const times = { createdAt: clock.now(), lastUsedAt: null };
  return { name, kind, projectId, userId, patterns, createdBy, ...times, isKept: 1 };
}

/** The types of events that a topic shows. */
export function patternsOf({ kind, patterns = ALL_TYPES }: Pick<CreateTopic, "kind" | "patterns">): readonly string[] {
  return kind === "events" ? patterns : [];
}

/** In a given transaction. */
export async function changeTopic({ audit }: TopicContext, trx: Trx, row: TopicRow): Promise<void> {
  const { name, kind, projectId, patterns } = row;
  await trx.updateTable("ntfy_topics").set({ patterns, isKept: 1 }).where("name", "=", name).execute();
  addEffect(trx, { type: "ntfy-topics-changed", changed: [row] });
  const metadata = { kind, projectId };
  await audit.record({ action: "ntfy_topic.update", resourceType: "ntfyTopic", resourceId: name, metadata }, { trx });
}

/** In a given transaction. @throws NAME_TAKEN, LIMIT_REACHED */
export async function insertTopic({ projects, audit }: TopicContext, trx: Trx, row: TopicRow): Promise<void> {
  const { name, kind, projectId } = row;
  if (await findTopic(trx, name)) throw new PrismError("NAME_TAKEN", "A topic with this name exists");
  await projects.quotas.requireRoom(trx, "topics", row);
  await trx.insertInto("ntfy_topics").values(row).execute();
  addEffect(trx, { type: "ntfy-topics-changed", changed: [row] });
  const metadata = { kind, projectId };
  await audit.record({ action: "ntfy_topic.create", resourceType: "ntfyTopic", resourceId: name, metadata }, { trx });
}

/** A job removes the messages, which are hidden before the answer. @throws NOT_FOUND, UNAUTHORIZED_ROLE */
async function deleteTopic(context: TopicContext, principal: PermissionHolder, name: string): Promise<void> {
  const { db } = context;
  await requireDeletable(context, principal, db.read, name);
  // First: later they would look like those of a new topic with the same name.
  await cancelAllScheduled(db, name);
  await db.write(async (trx) => {
    await requireDeletable(context, principal, trx, name);
    await removeTopic(context, trx, name);
  });
}

/** In a given transaction, after `cancelAllScheduled`. */
export async function removeTopic({ clock, audit, jobs }: TopicContext, trx: Trx, name: string): Promise<void> {
  await trx.deleteFrom("ntfy_messages").where("topic", "=", name).where("dueAt", "is not", null).execute();
  const payload = await hideMessages(trx, name);
  if (payload)
    await jobs.enqueue({ queue: "retention", kind: DELETE_TOPIC_KIND, payload, runAt: clock.now() }, { trx });
  await trx.deleteFrom("ntfy_topics").where("name", "=", name).execute();
  addEffect(trx, { type: "ntfy-topics-changed", deleted: [name] });
  await audit.record({ action: "ntfy_topic.delete", resourceType: "ntfyTopic", resourceId: name }, { trx });
}

async function requireDeletable(
  { projects }: TopicContext,
  principal: PermissionHolder,
  db: ReadDb | Trx,
  name: string,
): Promise<void> {
  const row = await findTopic(db, name);
  if (!row || !maySee(projects, principal, row)) throw new PrismError("NOT_FOUND", "No such topic");
  if (row.projectId !== null) projects.require(principal, row.projectId, "events:write");
}

function maySee(projects: Projects, principal: PermissionHolder, { projectId, userId }: TopicRow): boolean {
  return projectId === null ? userId === principal.userId : projects.has(principal, projectId, "events:read");
}

/** @throws VALIDATION_FAILED for a name that ntfy reserves */
export function requireFreeWord(name: string): void {
  try {
    requireTopic(name);
  } catch {
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "name", code: "VALUE", message: "is reserved by ntfy" }],
    });
  }
}

export function findTopic(db: ReadDb | Trx, name: string) {
  return db.selectFrom("ntfy_topics").selectAll().where("name", "=", name).executeTakeFirst();
}

function subscribersOf(open: TopicContext["ntfy"]["open"]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { topics } of open) for (const name of topics) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function topicView({ name, kind, projectId, userId, patterns, createdAt }: TopicRow, subscribers = 0) {
  const types = JSON.parse(patterns) as string[];
  return { name, kind, projectId, userId, patterns: types, subscribers, createdAt: toRfc3339(createdAt) };
}
