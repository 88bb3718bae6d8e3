import type { SelectQueryBuilder } from "kysely";
import type { KeyScope, Permission } from "../../../core/permissions.ts";
import { OPERATOR } from "../../../core/principal.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { ProjectRole, Schema } from "../../../store/schema.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import {
  type DefaultProject,
  hasProjectRight,
  heldRoles,
  leastRoleWith,
  type ProjectRight,
  permissionsOf,
  roleHas,
} from "../authorize.ts";
import { type AccountContext, type RecordContext, recordChange } from "../context.ts";
import { ownersOf, roleOf } from "./queries.ts";

/*
 * What remains of people whose rights end: the API keys they made, and their timers. And the members
 * who had more rights before only the role in a project counted.
 */

/** An API key as answers name it. */
interface KeyRef {
  readonly id: string;
  readonly name: string;
}

/** Something of a project that a person knows the secret of. */
interface KnownSecret {
  readonly kind: "apiKey" | "receiver" | "integration" | "heartbeat" | "pingKey";
  readonly id: string;
  readonly name: string;
}

/** Changes to a person's API keys, and secrets to rotate; empty lists are left out. */
export interface Leftovers {
  readonly keysRevoked?: readonly KeyRef[];
  readonly keysRestricted?: readonly (KeyRef & { readonly scopes: readonly KeyScope[] })[];
  readonly keysHandedOver?: readonly KeyRef[];
  readonly toRotate?: readonly KnownSecret[];
  /** Number of secrets to rotate, if `toRotate` has not all of them. */
  readonly toRotateCount?: number;
}

/** Who gets the keys of another person, with the scopes that this person may have. */
interface Heir {
  /** Null: the operator. */
  readonly userId: string | null;
  mayHave(scope: KeyScope, projectId: string): boolean;
}

/** Whose keys, and what becomes of them. */
export interface KeysOf {
  readonly userId: string;
  /** Null: of all projects. */
  readonly projectId: string | null;
  /** To whom the keys are handed; undefined: they lose the scopes, and without one are revoked. */
  readonly heir?: Heir | undefined;
  /** The action that ended the rights, for the audit trail. */
  readonly by: "member.remove" | "member.update" | "user.delete" | "user.update" | "role.update" | "role.delete";
  /** Whether the person lost the right to this scope; by default all. */
  readonly hasLost?: (scope: KeyScope, projectId: string) => boolean;
}

/** Ends, restricts or hands over the API keys that a person made. */
export async function endKeysOf(
  ctx: RecordContext,
  { userId, projectId, heir, by, hasLost = () => true }: KeysOf,
  trx: Trx,
): Promise<Leftovers> {
  let query = trx
    .selectFrom("api_keys")
    .select(["id", "name", "projectId", "scopes"])
    .where("createdBy", "=", userId)
    .where("revokedAt", "is", null)
    .orderBy("id");
  if (projectId !== null) query = query.where("projectId", "=", projectId);
  const revoked: KeyRef[] = [];
  const restricted: (KeyRef & { readonly scopes: readonly KeyScope[] })[] = [];
  const handedOver: KeyRef[] = [];
  for (const { id, name, projectId: of, scopes: stored } of await query.execute()) {
    const scopes = JSON.parse(stored) as KeyScope[];
    if (!scopes.some((scope) => hasLost(scope, of))) continue;
    const kept = scopes.filter((scope) => (heir ? heir.mayHave(scope, of) : !hasLost(scope, of)));
    const isEnded = kept.length === 0;
    const isRestricted = !isEnded && kept.length < scopes.length;
    const values = isEnded
      ? { revokedAt: ctx.clock.now() }
      : { scopes: JSON.stringify(kept), ...(heir ? { createdBy: heir.userId } : {}) };
    await trx.updateTable("api_keys").set(values).where("id", "=", id).execute();
    addEffect(trx, { type: "rights-changed", of: "key", keyId: id });
    const action = isEnded ? "key.revoke" : heir ? "key.hand_over" : "key.restrict";
    const metadata = { projectId: of, by, ...(isRestricted ? { scopes: kept } : {}) };
    await recordChange(ctx, action, "apiKey", id, metadata, trx);
    if (isRestricted) restricted.push({ id, name, scopes: kept });
    if (isEnded) revoked.push({ id, name });
    else if (heir) handedOver.push({ id, name });
  }
  return {
    ...(revoked.length > 0 ? { keysRevoked: revoked } : {}),
    ...(restricted.length > 0 ? { keysRestricted: restricted } : {}),
    ...(handedOver.length > 0
      ? { keysHandedOver: handedOver, toRotate: handedOver.map((key) => ({ kind: "apiKey", ...key })) }
      : {}),
  };
}

/** A user's rights, as far as they decide which scopes a key of the user may have. */
interface KeyRights {
  readonly permissions: ReadonlySet<string>;
  readonly memberships: ReadonlyMap<string, ProjectRole>;
}

/** Whether the holder of these rights may do in a project what a key with the scope does. */
function mayDo({ permissions, memberships }: KeyRights, scope: KeyScope, projectId: string, of: DefaultProject) {
  const holder = { ...OPERATOR, permissions: permissions as ReadonlySet<Permission>, memberships };
  const has = (right: ProjectRight) => hasProjectRight(holder, right, projectId, of);
  if (scope === "notifications:send") return permissions.has(scope) && has("project:read");
  return has(scope === "realtime:subscribe" ? "events:read" : scope);
}

/** The rights of the user to whom keys of a project are handed. @param userId null: the operator, with all */
export async function heirWith(userId: string | null, projectId: string, of: DefaultProject, trx: Trx): Promise<Heir> {
  if (userId === null) return { userId, mayHave: () => true };
  const permissions = new Set<string>(permissionsOf(await heldRoles(userId, trx)));
  const role = await roleOf(trx, projectId, userId);
  const rights = { permissions, memberships: new Map(role ? [[projectId, role]] : []) };
  return { userId, mayHave: (scope, project) => mayDo(rights, scope, project, of) };
}

/**
 * {@link endKeysOf} for a member whose role changed. Call it after the change.
 * @param before the role before
 */
export async function restrictKeysOfMember(
  ctx: RecordContext,
  {
    before,
    of,
    ...given
  }: Omit<KeysOf, "hasLost" | "by"> & {
    readonly projectId: string;
    readonly before: ProjectRole;
    readonly of: DefaultProject;
  },
  trx: Trx,
): Promise<Leftovers> {
  const permissions = new Set<string>(permissionsOf(await heldRoles(given.userId, trx)));
  const now = await roleOf(trx, given.projectId, given.userId);
  const rights = (role: ProjectRole | undefined): KeyRights => ({
    permissions,
    memberships: new Map(role ? [[given.projectId, role]] : []),
  });
  const hasLost = (scope: KeyScope, projectId: string) =>
    mayDo(rights(before), scope, projectId, of) && !mayDo(rights(now), scope, projectId, of);
  return endKeysOf(ctx, { ...given, by: "member.update", hasLost }, trx);
}

/**
 * {@link endKeysOf} for users who lost permissions of server roles, in all projects. Call it after the change.
 * @param lost the permissions that the users had before, and may still have by another role
 */
export async function restrictKeysOfUsers(
  ctx: RecordContext & Pick<AccountContext, "projects">,
  userIds: readonly string[],
  lost: readonly string[],
  by: KeysOf["by"],
  trx: Trx,
): Promise<void> {
  if (lost.length === 0 || userIds.length === 0) return;
  for (const userId of userIds) {
    const permissions = new Set<string>(permissionsOf(await heldRoles(userId, trx)));
    const members = await trx
      .selectFrom("project_members")
      .select(["projectId", "role"])
      .where("userId", "=", userId)
      .execute();
    const memberships = new Map(members.map(({ projectId, role }) => [projectId, role]));
    const before = { permissions: new Set([...permissions, ...lost]), memberships };
    const hasLost = (scope: KeyScope, projectId: string) =>
      mayDo(before, scope, projectId, ctx.projects) &&
      !mayDo({ permissions, memberships }, scope, projectId, ctx.projects);
    await endKeysOf(ctx, { userId, projectId: null, by, hasLost }, trx);
  }
}

/** Ids of the API keys that a person made and that are not revoked. */
export async function keysMadeBy(userId: string, trx: Trx): Promise<string[]> {
  const keys = trx.selectFrom("api_keys").select("id").where("createdBy", "=", userId).where("revokedAt", "is", null);
  return (await keys.execute()).map(({ id }) => id);
}

/** Holders of a role who made API keys that still work. */
export async function keyMakersWith(roleId: string, trx: Trx): Promise<string[]> {
  const makers = await trx
    .selectFrom("api_keys as k")
    .innerJoin("user_roles as u", "u.userId", "k.createdBy")
    .select("u.userId")
    .distinct()
    .where("u.roleId", "=", roleId)
    .where("k.revokedAt", "is", null)
    .execute();
  return makers.map(({ userId }) => userId);
}

/** Secrets of a kind in an answer, and ids of a list in an audit row: at most this many. */
const MAX_LISTED = 100;

/** Some of the secrets that a person knows, and the number of all. */
interface KnownSecrets {
  readonly secrets: readonly KnownSecret[];
  readonly count: number;
}

/** The right to see or replace a secret of each kind. */
const SECRETS = [
  { kind: "receiver", right: "receivers:write", table: "receivers", actions: ["receiver.create", "receiver.rotate"] },
  {
    kind: "integration",
    right: "policies:write",
    table: "integrations",
    actions: ["integration.create", "integration.rotate"],
  },
] as const;

/**
 * Secrets in URLs of a project that a person knows and no longer has the right to: of receivers and
 * integrations that the person made or rotated, and ping URLs of heartbeats, which all editors and owners
 * see. Calendar links end by themselves.
 * @param after the role now; undefined: none. @returns the first 100 of each kind, and the number of all
 */
export async function secretsKnownTo(
  trx: Trx,
  { projectId, userId }: { readonly projectId: string; readonly userId: string },
  before: ProjectRole,
  after: ProjectRole | undefined,
): Promise<KnownSecrets> {
  const hasLost = (right: ProjectRight) => roleHas(before, right) && (after === undefined || !roleHas(after, right));
  const secrets: KnownSecret[] = [];
  let count = 0;
  const add = async <TB extends keyof Schema>(
    kind: KnownSecret["kind"],
    query: SelectQueryBuilder<Schema, TB, { id: string; name: string }>,
  ) => {
    const rows = await query.limit(MAX_LISTED).execute();
    for (const { id, name } of rows) secrets.push({ kind, id, name });
    count += rows.length < MAX_LISTED ? rows.length : await countOf(query);
  };
  for (const { kind, right, table, actions } of SECRETS) {
    if (!hasLost(right)) continue;
    // Their tables have these columns in common.
    const query = trx
      .selectFrom(table as "receivers")
      .select(["id", "name"])
      .where("projectId", "=", projectId)
      .where((e) => {
        const audited = e("id", "in", (inner) =>
          inner
            .selectFrom("audit_log")
            .select((a) => a.ref("resourceId").$castTo<string>().as("id"))
            .where("userId", "=", userId)
            .where("action", "in", actions)
            .where("resourceId", "is not", null),
        );
        return e.or([e("createdBy", "=", userId), audited]);
      });
    await add(kind, query.orderBy("name"));
  }
  if (!hasLost("heartbeats:write")) return { secrets, count };
  const heartbeats = trx.selectFrom("heartbeats").select(["id", "name"]).where("projectId", "=", projectId);
  await add("heartbeat", heartbeats.orderBy("name"));
  const keys = await trx
    .selectFrom("heartbeat_keys")
    .select("pingKeyHash")
    .where("projectId", "=", projectId)
    .executeTakeFirst();
  if (!keys?.pingKeyHash) return { secrets, count };
  return { secrets: [...secrets, { kind: "pingKey", id: projectId, name: "ping key" }], count: count + 1 };
}

/** Adds secrets to those to rotate. */
export function withSecrets(left: Leftovers, { secrets, count }: KnownSecrets): Leftovers {
  const known = left.toRotate ?? [];
  const toRotate = [...known, ...secrets];
  if (toRotate.length === 0) return left;
  return { ...left, toRotate, ...(count > secrets.length ? { toRotateCount: known.length + count } : {}) };
}

/** Leftovers as the audit trail has them: ids, at most 100 of each list. */
export function leftoverIds({ toRotateCount, ...lists }: Leftovers): Record<string, Json> {
  const ids = (Object.entries(lists) as [string, readonly KeyRef[]][]).map(([name, rows]) => [
    name,
    rows.slice(0, MAX_LISTED).map(({ id }) => id),
  ]);
  return { ...Object.fromEntries(ids), ...(toRotateCount === undefined ? {} : { toRotateCount }) };
}

/** Ends the rights of a person on topics of ntfy. @param projectId null: of all projects */
export async function endTopicRights(trx: Trx, userId: string, projectId: string | null): Promise<void> {
  let query = trx.deleteFrom("ntfy_access").where("userId", "=", userId);
  if (projectId !== null) query = query.where("projectId", "=", projectId);
  const rows = await query.returning("projectId").execute();
  for (const of of new Set(rows.map((row) => row.projectId)))
    addEffect(trx, { type: "ntfy-access-changed", projectId: of, userId, rows: [] });
}

/**
 * Hands over the projects that a person made and no longer owns: from then on another owner has their
 * limits and pays for their work. Call it after the person's role is gone, not for a member who leaves: that
 * would give limits and costs to people who never agreed.
 * @param projectId null: all projects
 * @param actorId who ended the role, and owns the project from then on if an owner of it
 */
export async function endOwnershipOf(
  userId: string,
  projectId: string | null,
  trx: Trx,
  actorId: string | null = null,
): Promise<void> {
  let query = trx.selectFrom("projects").select("id").where("ownerId", "=", userId);
  if (projectId !== null) query = query.where("id", "=", projectId);
  for (const { id } of await query.execute()) {
    const owners = await ownersOf(trx, id);
    const ownerId = owners.find((owner) => owner === actorId) ?? owners[0];
    if (ownerId === undefined) continue;
    await trx.updateTable("projects").set({ ownerId }).where("id", "=", id).execute();
    addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  }
}

/** Rows of `lost_rights` with the names of project and member. */
export function membersWhoLost(db: ReadDb) {
  return db
    .selectFrom("lost_rights as l")
    .innerJoin("project_members as m", (on) =>
      on.onRef("m.projectId", "=", "l.projectId").onRef("m.userId", "=", "l.userId"),
    )
    .innerJoin("projects as p", "p.id", "l.projectId")
    .innerJoin("users as u", "u.id", "l.userId")
    .select(["l.projectId", "p.slug", "l.userId", "u.username", "u.name", "m.role", "l.rights"])
    .where("p.deletedAt", "is", null)
    .where("u.deletedAt", "is", null)
    .orderBy("p.slug")
    .orderBy("l.userId");
}

type LostRow = Awaited<ReturnType<ReturnType<typeof membersWhoLost>["execute"]>>[number];

/** @returns the row with the least role that has the rights */
export function lostView({ rights, ...row }: LostRow) {
  const lost = JSON.parse(rights) as ProjectRight[];
  return { ...row, rights: lost, roleWithThem: leastRoleWith(lost) };
}
