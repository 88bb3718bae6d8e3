import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, limitReached, PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, example, named, object, pattern as patternText, text } from "../../../http/api/shapes.ts";
import { holderOf, missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { reauthorize, type UserDirectory, userNames } from "../../access/index.ts";
import { type AccessRow, EVERYONE, matchesPattern } from "./access.ts";

export interface AccessContext extends Uses<"db" | "clock" | "projects" | "audit"> {
  readonly principals: Parameters<typeof reauthorize>[0]["principals"];
  readonly users: Pick<UserDirectory, "findAny" | "reachable">;
}

const PATH = "/api/v1/ntfy/access";
export const PERMISSIONS = ["none", "read", "write", "read-write"] as const;
/** Rows of one project: each is in memory. */
const MAX_ROWS = 1000;
export const PATTERN = /^[-_A-Za-z0-9*]{1,64}$/;

const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: the default project"));
const user = doc(text(255, 1), "Id, external id, username or mail address; `everyone`: all, also without credentials");
const topic = doc(
  patternText(PATTERN, "must be up to 64 letters, digits, -, _ and *"),
  "Name of a topic, or a pattern such as `backup-*`",
);

const AccessView = named(
  "NtfyAccess",
  "What a user, or everyone, may do with topics of ntfy",
  v.object({
    projectId: v.string(),
    userId: doc(v.nullable(v.string()), "Null: everyone"),
    username: v.nullable(v.string()),
    topic: v.string(),
    permission: v.picklist(PERMISSIONS),
    createdAt: v.string(),
  }),
);

const ListAccess = object({
  projectId: v.optional(doc(text(64, 1), "Id or slug; default: all projects that the caller manages")),
  user: v.optional(user),
  topic: v.optional(doc(text(64, 1), "Name of a topic: only rights whose pattern matches it")),
});
const SetAccess = example(
  object({ projectId, user, topic, permission: doc(v.picklist(PERMISSIONS), "What they may do") }),
  { user: "me", topic: "backup-*", permission: "read" },
);
const ResetAccess = object({
  projectId,
  user: v.optional(user),
  topic: v.optional(doc(text(64, 1), "The pattern as it was set; default: all of the user")),
});

/** Rights on topics by user and pattern. Owners of the project set them. */
export function accessRoutes(context: AccessContext): Route[] {
  const managing = { tag: "ntfy", access: { tokenScopes: ["projects:create"] } } as const;
  return [
    route({
      tag: "ntfy",
      access: { tokenScopes: ["projects:create", "events:read"] },
      method: "GET",
      path: PATH,
      id: "listNtfyAccess",
      summary: "List rights on ntfy topics: the caller's own, and all of projects that the caller manages",
      returns: "The rights, by user and pattern",
      query: ListAccess,
      response: v.object({ data: v.array(AccessView) }),
      errors: ["PROJECT_NOT_FOUND"],
      handle: (exchange, { query }) => listAccess(context, holderOf(exchange), query),
    }),
    route({
      ...managing,
      method: "PUT",
      path: PATH,
      id: "setNtfyAccess",
      summary: "Set what a user, or everyone, may do with a topic or a pattern of topics (owner)",
      details:
        "A user's own right is before everyone's, a longer pattern before a shorter one. Without `users:read` " +
        "an owner names members of the project only, and everyone in the default project only.",
      body: SetAccess,
      response: AccessView,
      errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LIMIT_REACHED"],
      handle: (exchange, { body }) => setAccess(context, holderOf(exchange), body),
    }),
    route({
      ...managing,
      method: "DELETE",
      path: PATH,
      id: "resetNtfyAccess",
      summary: "Remove rights on topics of a project: of a user and pattern, of a user, or all (owner)",
      query: ResetAccess,
      errors: ["PROJECT_NOT_FOUND", "NOT_FOUND"],
      handle: (exchange, { query }) => resetAccess(context, holderOf(exchange), query),
    }),
  ];
}

async function listAccess(
  { db, projects, users }: AccessContext,
  principal: PermissionHolder,
  query: v.InferOutput<typeof ListAccess>,
) {
  const managed = projects.readable(principal, "project:manage");
  const id = query.projectId === undefined ? undefined : projects.find(query.projectId);
  if (query.projectId !== undefined && id === undefined) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  let found = db.read.selectFrom("ntfy_access").selectAll().orderBy("projectId").orderBy("userId").orderBy("pattern");
  if (id !== undefined) found = found.where("projectId", "=", id);
  if (managed !== null)
    found = found.where((e) => e.or([e("projectId", "in", managed), e("userId", "=", principal.userId ?? "")]));
  if (query.user !== undefined) found = found.where("userId", "=", userOf(users, query.user) ?? "");
  const name = query.topic;
  const rows = (await found.limit(MAX_ROWS).execute()).filter(
    ({ pattern }) => name === undefined || matchesPattern(pattern, name),
  );
  const names = await userNames(
    db.read,
    rows.map(({ userId }) => userId),
  );
  return { data: rows.map((row) => accessView(row, names.get(row.userId)?.username ?? null)) };
}

async function setAccess(
  context: AccessContext,
  principal: PermissionHolder,
  { projectId: ref, user: userRef, topic: pattern, permission }: v.InferOutput<typeof SetAccess>,
) {
  const { db, clock, projects, users } = context;
  const id = projects.requireOrDefault(principal, ref, "project:manage");
  const userId = nameable(context, principal, id, userOf(users, userRef));
  const row: AccessRow = {
    ...{ projectId: id, userId, pattern, permission },
    ...{ createdBy: principal.userId, createdAt: clock.now() },
  };
  await db.write(async (trx) => {
    await reauthorize(context, principal, id, "project:manage", trx);
    await storeRight(context, trx, row);
  });
  const names = await userNames(db.read, [userId]);
  return accessView(row, names.get(userId)?.username ?? null);
}

/** In a given transaction. @throws LIMIT_REACHED */
export async function storeRight(context: Uses<"audit">, trx: Trx, row: AccessRow): Promise<void> {
  const { pattern, permission } = row;
  await requireRoom(trx, row);
  await trx
    .insertInto("ntfy_access")
    .values(row)
    .onConflict((conflict) => conflict.columns(["projectId", "userId", "pattern"]).doUpdateSet({ permission }))
    .execute();
  await changed(context, trx, row, { topic: pattern, permission });
}

/** In a given transaction. @param pattern undefined: all of the user */
export async function removeRights(
  context: Uses<"audit">,
  trx: Trx,
  { projectId, userId, pattern }: Pick<AccessRow, "projectId"> & Partial<Pick<AccessRow, "userId" | "pattern">>,
): Promise<void> {
  let removed = trx.deleteFrom("ntfy_access").where("projectId", "=", projectId);
  if (userId !== undefined) removed = removed.where("userId", "=", userId);
  if (pattern !== undefined) removed = removed.where("pattern", "=", pattern);
  const rows = await removed.returning("userId").execute();
  if (rows.length === 0) throw new PrismError("NOT_FOUND", "No such right");
  const metadata = { ...(pattern !== undefined && { topic: pattern }), removed: true };
  for (const each of new Set(rows.map((row) => row.userId)))
    await changed(context, trx, { projectId, userId: each }, metadata);
}

async function resetAccess(
  context: AccessContext,
  principal: PermissionHolder,
  { projectId: ref, user: userRef, topic: pattern }: v.InferOutput<typeof ResetAccess>,
): Promise<void> {
  const { db, projects, users } = context;
  if (pattern !== undefined && userRef === undefined) throw invalidField("query", "user", "is needed with a topic");
  const id = projects.requireOrDefault(principal, ref, "project:manage");
  const userId = userRef === undefined ? undefined : (userOf(users, userRef) ?? "");
  await db.write(async (trx) => {
    await reauthorize(context, principal, id, "project:manage", trx);
    await removeRights(context, trx, {
      projectId: id,
      ...(userId !== undefined && { userId }),
      ...(pattern !== undefined && { pattern }),
    });
  });
}

export function userOf(users: AccessContext["users"], ref: string): string | undefined {
  return ref === "everyone" || ref === EVERYONE ? EVERYONE : users.findAny(ref);
}

/**
 * Topics have one name on the whole server: an owner without `users:read` gives rights to members only,
 * so that no stranger's messages end in the owner's project, and learns of no other account.
 * @throws USER_NOT_FOUND, UNAUTHORIZED_ROLE
 */
export function nameable(
  { projects, users }: Pick<AccessContext, "projects" | "users">,
  { permissions }: PermissionHolder,
  projectId: string,
  userId: string | undefined,
): string {
  const isDefault = projectId === projects.defaultId;
  if (permissions.has("users:read")) {
    if (userId !== undefined) return userId;
    throw new PrismError("USER_NOT_FOUND", "No such user");
  }
  if (userId === EVERYONE && isDefault) return userId;
  const isMember = userId !== undefined && !isDefault && users.reachable([userId], projectId).length > 0;
  if (isMember) return userId;
  throw missingPermission("users:read", "or name a member of the project");
}

async function requireRoom(trx: Trx, { projectId, userId, pattern }: AccessRow): Promise<void> {
  const rows = await trx
    .selectFrom("ntfy_access")
    .select(["userId", "pattern"])
    .where("projectId", "=", projectId)
    .limit(MAX_ROWS)
    .execute();
  if (rows.length < MAX_ROWS || rows.some((row) => row.userId === userId && row.pattern === pattern)) return;
  throw limitReached("The project has many rights on topics", null, MAX_ROWS);
}

/** Puts the user's rows into memory with the commit, and an entry into the audit trail. */
async function changed(
  { audit }: Uses<"audit">,
  trx: Trx,
  { projectId, userId }: Pick<AccessRow, "projectId" | "userId">,
  metadata: Readonly<Record<string, string | boolean>>,
): Promise<void> {
  const rows = await trx
    .selectFrom("ntfy_access")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("userId", "=", userId)
    .execute();
  addEffect(trx, { type: "ntfy-access-changed", projectId, userId, rows });
  const of = { resourceType: "project", resourceId: projectId };
  await audit.record({ action: "ntfy_access.set", ...of, metadata: { userId, ...metadata } }, { trx });
}

function accessView({ projectId: id, userId, pattern, permission, createdAt }: AccessRow, username: string | null) {
  const isEveryone = userId === EVERYONE;
  return {
    projectId: id,
    userId: isEveryone ? null : userId,
    username,
    topic: pattern,
    permission,
    createdAt: toRfc3339(createdAt),
  };
}
