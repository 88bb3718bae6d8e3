import { sql } from "kysely";
import * as v from "valibot";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import {
  BUILT_IN_ROLES,
  PERMISSION_TEXTS,
  PERMISSIONS,
  type Permission,
  shownPermissions,
  storedPermissions,
} from "../../../core/permissions.ts";
import { Reply, versioned } from "../../../http/api/route.ts";
import { doc, example, named, object } from "../../../http/api/shapes.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { type Granter, requireHeld } from "../authorize.ts";
import { recordChange } from "../context.ts";
import { Role, type StoredRole } from "./role.ts";

export type RolesContext = Context<"accounts">;

type RoleInput = v.InferOutput<ReturnType<typeof UpdateBody>>;

/** @throws ROLE_NOT_FOUND */
async function getRole(id: string, db: ReadDb | Trx) {
  const role = await db.selectFrom("roles").selectAll().where("id", "=", id).executeTakeFirst();
  if (!role) throw new PrismError("ROLE_NOT_FOUND", "No such role");
  return role;
}

/** @throws NAME_TAKEN, PRIVILEGE_ESCALATION */
async function createRole(ctx: RolesContext, input: v.InferOutput<ReturnType<typeof CreateBody>>, granter: Granter) {
  const { db, clock } = ctx;
  const permissions = storedPermissions(input.permissions, []);
  requireHeld(permissions, granter, "permissions");
  return db.write(async (trx) => {
    await requireFreeName(input.name, null, trx);
    const now = clock.now();
    const row: StoredRole = {
      ...{ ...Role.initial, ...Role.columns({ description: input.description }) },
      ...{ id: uuidv7(), name: input.name, permissions: JSON.stringify(permissions), createdAt: now, updatedAt: now },
    };
    await trx.insertInto("roles").values(row).execute();
    await recordChange(ctx, "role.create", "role", row.id, { permissions }, trx);
    return row;
  });
}

/** @throws ROLE_NOT_FOUND, ROLE_BUILTIN, NAME_TAKEN, PRIVILEGE_ESCALATION, VERSION_CONFLICT */
async function updateRole(ctx: RolesContext, id: string, input: RoleInput, ifMatch: string, granter: Granter) {
  const { db, clock } = ctx;
  return db.write(async (trx) => {
    const role = await getRole(id, trx);
    requireVersion(ifMatch, role.version);
    const isRenamed = input.name !== undefined && input.name !== role.name;
    if (role.builtin === 1 && isRenamed) throw builtIn("A built-in role keeps its name");
    if (input.name !== undefined) await requireFreeName(input.name, id, trx);
    const held = JSON.parse(role.permissions) as string[];
    const permissions = input.permissions ? storedPermissions(input.permissions, held) : held;
    const added = permissions.filter((each) => !held.includes(each));
    const removed = held.filter((each) => !permissions.includes(each));
    if (role.name === "Admin" && added.length + removed.length > 0) throw builtIn("Admin has every permission, always");
    // Taking away asks for as much as giving: who lacks a right decides nothing about it.
    requireHeld([...added, ...removed], granter, "permissions");
    const row: StoredRole = {
      ...{ ...role, ...Role.columns({ name: input.name, description: input.description }) },
      ...{ permissions: JSON.stringify(permissions), version: role.version + 1, updatedAt: clock.now() },
    };
    await trx.updateTable("roles").set(row).where("id", "=", id).execute();
    const changed = (["name", "description"] as const).filter((each) => row[each] !== role[each]);
    await recordChange(ctx, "role.update", "role", id, { changed, added, removed }, trx);
    addEffect(trx, { type: "rights-changed", of: "role", roleId: id });
    return row;
  });
}

/**
 * @param reassignTo the role that its users get instead. @throws ROLE_NOT_FOUND, ROLE_BUILTIN,
 * ROLE_IN_USE, PRIVILEGE_ESCALATION
 */
async function removeRole(
  ctx: RolesContext,
  id: string,
  reassignTo: string | undefined,
  granter: Granter,
): Promise<void> {
  const { db, clock } = ctx;
  await db.write(async (trx) => {
    const role = await getRole(id, trx);
    if (role.builtin === 1) throw builtIn("A built-in role cannot be removed");
    requireHeld(JSON.parse(role.permissions) as Permission[], granter, "id");
    const rules = await countRules(id, trx);
    const users = await countUsers(id, trx);
    if (rules > 0 || (users > 0 && reassignTo === undefined)) throw inUse(users, rules);
    if (reassignTo !== undefined) {
      const other = await getRole(reassignTo, trx);
      if (other.id === id) throw inUse(users, rules);
      requireHeld(JSON.parse(other.permissions) as Permission[], granter, "reassignTo");
      await sql`insert or ignore into user_roles (userId, roleId, grantedBy, createdAt)
          select userId, ${other.id}, ${granter.userId}, ${clock.now()} from user_roles where roleId = ${id}`.execute(
        trx,
      );
    }
    await trx.deleteFrom("user_roles").where("roleId", "=", id).execute();
    await trx.deleteFrom("roles").where("id", "=", id).execute();
    await recordChange(
      ctx,
      "role.delete",
      "role",
      id,
      { users, ...(reassignTo === undefined ? {} : { reassignTo }) },
      trx,
    );
    // Its holders have the other role now.
    addEffect(trx, { type: "rights-changed", of: "role", roleId: id });
  });
}

async function requireFreeName(name: string, owner: string | null, trx: Trx): Promise<void> {
  const holder = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirst();
  if (holder && holder.id !== owner) throw new PrismError("NAME_TAKEN", "Another role has this name");
}

/** Deleted users keep their roles for the record, and hold none. */
function countUsers(roleId: string, trx: Trx): Promise<number> {
  return countOf(
    trx
      .selectFrom("user_roles")
      .innerJoin("users", "users.id", "user_roles.userId")
      .where("user_roles.roleId", "=", roleId)
      .where("users.deletedAt", "is", null),
  );
}

function countRules(roleId: string, trx: Trx): Promise<number> {
  return countOf(
    trx
      .selectFrom("rules")
      .where("deletedAt", "is", null)
      .where(sql<boolean>`exists (select 1 from json_each(rules.targetRoles) where value = ${roleId})`),
  );
}

function inUse(users: number, rules: number): PrismError {
  const message =
    `is held by ${users} ${users === 1 ? "user" : "users"} ` +
    `and named by ${rules} ${rules === 1 ? "rule" : "rules"}`;
  return new PrismError("ROLE_IN_USE", `The role ${message}`, {
    details: [{ path: "id", code: "ROLE_IN_USE", message }],
  });
}

function builtIn(message: string): PrismError {
  return new PrismError("ROLE_BUILTIN", message);
}

const CreateBody = () =>
  example(object(Role.forCreate), {
    name: "On call",
    permissions: ["events:read", "rules:read", "notifications:own"],
    description: "Reads events and rules",
  });
const UpdateBody = () =>
  example(object(Role.forUpdate), {
    description: "Reads events and rules, day and night",
  });

const PermissionView = named(
  "Permission",
  "A permission that roles can hold",
  v.object({
    name: v.picklist(PERMISSIONS),
    description: v.string(),
    builtInRoles: doc(v.array(v.string()), "Built-in roles that hold it at first; all but Admin may be changed"),
  }),
);

function permissionViews() {
  const roles = Object.entries(BUILT_IN_ROLES);
  return PERMISSIONS.map((name) => ({
    name,
    description: PERMISSION_TEXTS[name],
    builtInRoles: roles.filter(([, held]) => held.includes(name)).map(([role]) => role),
  }));
}

const params = v.object({ id: doc(v.string(), "Id of the role") });
/** In the query: the body of a DELETE has no meaning (RFC 9110 section 9.3.5). */
const Reassign = object({
  reassignTo: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the role that its holders get instead")),
});

/** Bundles of permissions that users are given. */
export const rolesFeature = feature("roles", {
  needs: ["accounts"],
  register: serve,
});

function serve(server: FeatureServer, context: RolesContext): void {
  const reads = { tag: "Roles", access: { permission: "roles:read" } } as const;
  const writes = { tag: "Roles", access: { permission: "roles:manage" } } as const;

  server.route({
    ...reads,
    method: "GET",
    path: "/api/v1/roles",
    id: "listRoles",
    summary: "List all roles",
    returns: "All roles",
    tagged: true,
    response: () => v.object({ data: v.array(Role.View) }),
    async handle() {
      const roles = context.db.read.selectFrom("roles").selectAll().orderBy("builtin", "desc").orderBy("name");
      const data = (await roles.execute()).map(roleView);
      const tag = sha256Hex(data.map(({ id, version }) => `${id}:${version}`).join());
      return new Reply(200, { data }, { ETag: `"${tag.slice(0, 32)}"`, "Cache-Control": "private, no-cache" });
    },
  });
  server.route({
    ...reads,
    method: "GET",
    path: "/api/v1/permissions",
    id: "listPermissions",
    summary: "List the permissions that roles can hold, with what each allows",
    returns: "The permissions",
    response: v.object({ data: v.array(PermissionView) }),
    handle: () => ({ data: permissionViews() }),
  });
  server.route({
    ...reads,
    method: "GET",
    path: "/api/v1/roles/:id",
    id: "getRole",
    summary: "Get a role",
    params,
    response: () => Role.View,
    errors: ["ROLE_NOT_FOUND"],
    async handle(_exchange, { params: { id } }) {
      const role = await getRole(id, context.db.read);
      return versioned(role.version, roleView(role));
    },
  });
  server.route({
    ...writes,
    method: "POST",
    path: "/api/v1/roles",
    id: "createRole",
    summary: "Create a role with permissions that the caller has",
    body: CreateBody,
    status: 201,
    response: () => Role.View,
    errors: ["NAME_TAKEN", "PRIVILEGE_ESCALATION"],
    async handle(exchange, { body }) {
      const role = await createRole(context, body, holderOf(exchange));
      return versioned(role.version, roleView(role), { status: 201 });
    },
  });
  server.route({
    ...writes,
    method: "PUT",
    path: "/api/v1/roles/:id",
    id: "updateRole",
    summary: "Update a role; the change applies to its holders at once",
    params,
    body: UpdateBody,
    response: () => Role.View,
    errors: ["ROLE_NOT_FOUND", "ROLE_BUILTIN", "NAME_TAKEN", "PRIVILEGE_ESCALATION", "VERSION_CONFLICT"],
    async handle(exchange, { params: { id }, body }) {
      const role = await updateRole(context, id, body, exchange.header("if-match"), holderOf(exchange));
      return versioned(role.version, roleView(role));
    },
  });
  server.route({
    ...writes,
    method: "DELETE",
    path: "/api/v1/roles/:id",
    id: "deleteRole",
    summary: "Delete a role that no rule uses; its holders can get another one",
    params,
    query: Reassign,
    status: 204,
    errors: ["ROLE_NOT_FOUND", "ROLE_BUILTIN", "ROLE_IN_USE", "PRIVILEGE_ESCALATION"],
    async handle(exchange, { params: { id }, query: { reassignTo } }) {
      await removeRole(context, id, reassignTo, holderOf(exchange));
    },
  });
}

function roleView(role: StoredRole) {
  return Role.view(role, { permissions: shownPermissions(JSON.parse(role.permissions) as string[]) });
}
