import type { SelectQueryBuilder } from "kysely";
import type { KeyScope } from "../../../core/permissions.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { ProjectRole, Schema } from "../../../store/schema.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import {
  type DefaultProject,
  heldRoles,
  mayUseScope,
  type ProjectRight,
  permissionsOf,
  roleHas,
} from "../authorize.ts";
import { type RecordContext, recordChange } from "../context.ts";
import { ownersOf, roleOf } from "./queries.ts";

/* API keys that a person made and secrets that a person knows, when that person's rights end. */

/** An API key as answers name it. */
interface KeyRef {
  readonly id: string;
  readonly name: string;
}

/** Something of a project that a person knows the secret of. */
interface KnownSecret {
  readonly kind: "apiKey" | "receiver" | "integration" | "heartbeat" | "pingKey" | "forwardUrl";
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
  readonly mayHave: HasScope;
}

type HasScope = (scope: KeyScope, projectId: string) => boolean;

/** Whose keys, and what becomes of them. */
interface KeysOf {
  readonly userId: string;
  /** Null: of all projects. */
  readonly projectId: string | null;
  /** To whom the keys are handed; undefined: they are revoked, or may do what the person still may. */
  readonly heir?: Heir | undefined;
  /** The action that ended the rights, for the audit trail. */
  readonly by: "member.remove" | "member.update" | "user.delete";
  /** What the person could do before. */
  readonly before?: HasScope;
  /** What the person may do now: keys that lose nothing stay as they are. Undefined: nothing. */
  readonly now?: HasScope;
}

/** Ends or hands over the API keys that a person made, or says what they lost with the person's rights. */
export async function endKeysOf(
  ctx: RecordContext,
  { userId, projectId, heir, by, before = () => true, now }: KeysOf,
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
    const scopes = (JSON.parse(stored) as KeyScope[]).filter((scope) => before(scope, of));
    const left = scopes.filter((scope) => now?.(scope, of));
    if (now && left.length === scopes.length) continue;
    addEffect(trx, { type: "rights-changed", of: "key", keyId: id });
    const kept = heir ? scopes.filter((scope) => heir.mayHave(scope, of)) : left;
    if (kept.length > 0 && kept.length < scopes.length) restricted.push({ id, name, scopes: kept });
    if (now && !heir) {
      if (kept.length === 0) restricted.push({ id, name, scopes: kept });
      continue;
    }
    const isEnded = kept.length === 0;
    const values = isEnded
      ? { revokedAt: ctx.clock.now() }
      : { scopes: JSON.stringify(kept), createdBy: heir?.userId ?? null };
    await trx.updateTable("api_keys").set(values).where("id", "=", id).execute();
    const metadata = { projectId: of, by, ...(!isEnded && kept.length < scopes.length ? { scopes: kept } : {}) };
    await recordChange(ctx, isEnded ? "key.revoke" : "key.hand_over", "apiKey", id, metadata, trx);
    (isEnded ? revoked : handedOver).push({ id, name });
  }
  return {
    ...(revoked.length > 0 ? { keysRevoked: revoked } : {}),
    ...(restricted.length > 0 ? { keysRestricted: restricted } : {}),
    ...(handedOver.length > 0
      ? { keysHandedOver: handedOver, toRotate: handedOver.map((key) => ({ kind: "apiKey", ...key })) }
      : {}),
  };
}

/** What a user with this role in a project may let a key do there. */
export async function scopesWith(
  userId: string,
  projectId: string,
  role: ProjectRole | undefined,
  of: DefaultProject,
  trx: Trx,
): Promise<HasScope> {
  const permissions = new Set(permissionsOf(await heldRoles(userId, trx)));
  const memberships = new Map(role ? [[projectId, role]] : []);
  return (scope, project) => mayUseScope({ permissions, memberships }, scope, project, of);
}

/** The rights of the user to whom keys of a project are handed. @param userId null: the operator, with all */
export async function heirWith(userId: string | null, projectId: string, of: DefaultProject, trx: Trx): Promise<Heir> {
  if (userId === null) return { userId, mayHave: () => true };
  const role = await roleOf(trx, projectId, userId);
  return { userId, mayHave: await scopesWith(userId, projectId, role, of, trx) };
}

/** The rights of a person changed, and with them those of the API keys that the person made. */
export async function keysChanged(userId: string, trx: Trx): Promise<void> {
  const keys = trx.selectFrom("api_keys").select("id").where("createdBy", "=", userId).where("revokedAt", "is", null);
  for (const { id } of await keys.execute()) addEffect(trx, { type: "rights-changed", of: "key", keyId: id });
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
 * see. Also where requests of a mirror are passed on, which the person may have set at those of others. Calendar
 * links end by themselves.
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
  for (const { table } of hasLost("project:manage") ? SECRETS : []) {
    const targets = trx
      .selectFrom(table as "receivers")
      .select(["id", "name"])
      .where("projectId", "=", projectId);
    await add("forwardUrl", targets.where("forwardUrl", "is not", null).orderBy("name"));
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
