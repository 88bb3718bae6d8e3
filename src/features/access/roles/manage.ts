import { sql } from "kysely";
import * as v from "valibot";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { storedPermissions } from "../../../core/permissions.ts";
import { Reply } from "../../../http/api/route.ts";
import { doc, example, object } from "../../../http/api/shapes.ts";
import type { Context } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { type Granter, requireHeld } from "../authorize.ts";
import { recordChange } from "../context.ts";
import { managed, type WithIssued } from "../managed.ts";
import { ofServer } from "../owned.ts";
import { heldBy, Role, roleView, type StoredRole } from "./role.ts";

export type RolesContext = Context<"accounts" | "projects">;

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

const params = v.object({ id: doc(v.string(), "Id of the role") });
/** In the query: the body of a DELETE has no meaning (RFC 9110 section 9.3.5). */
const Reassign = object({
  reassignTo: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the role that its holders get instead")),
});

export const roles = managed({
  ...{ path: "/api/v1/roles", names: ["Role", "Roles"], tag: "Roles", params },
  access: ofServer(Role, {
    ...{ read: "roles:read", write: "roles:manage", missing: "ROLE_NOT_FOUND", noun: "role" },
  }),
  callers: { read: { permission: "roles:read" }, write: { permission: "roles:manage" } },
  answer: () => Role.View,
  list: {
    ...{ summary: "List all roles", returns: "All roles", tagged: true },
    answer: () => v.object({ data: v.array(Role.View) }),
    page: listRoles,
  },
  get: { summary: "Get a role" },
  create: {
    summary: "Create a role with permissions that the caller has",
    errors: ["NAME_TAKEN", "PRIVILEGE_ESCALATION"],
    body: CreateBody,
    prepare: (_context: RolesContext, granter, body) => newRole(granter, body),
  },
  update: {
    method: "PUT",
    summary: "Update a role; the change applies to its holders at once",
    errors: ["ROLE_BUILTIN", "NAME_TAKEN", "PRIVILEGE_ESCALATION"],
    body: UpdateBody,
    prepare: (_context, _caller, body) => body,
  },
  remove: {
    summary: "Delete a role that no rule uses; its holders can get another one",
    errors: ["ROLE_BUILTIN", "ROLE_IN_USE", "PRIVILEGE_ESCALATION"],
    query: Reassign,
  },
  view: (_context, _caller, row) => roleView(row),
  in: {
    async insert(
      context,
      trx,
      _granter,
      { id = uuidv7(), name, description, permissions },
    ): Promise<WithIssued<StoredRole>> {
      await requireFreeName(name, null, trx);
      const now = context.clock.now();
      const row: StoredRole = {
        ...{ ...Role.initial, ...Role.columns({ description }) },
        ...{ id, name, permissions: JSON.stringify(permissions), createdAt: now, updatedAt: now },
      };
      await trx.insertInto("roles").values(row).execute();
      await recordChange(context, "role.create", "role", row.id, { permissions }, trx);
      return { row };
    },
    async change(context, trx, role, { name, description, permissions: given }, granter) {
      const isRenamed = name !== undefined && name !== role.name;
      if (role.builtin === 1 && isRenamed) throw builtIn("A built-in role keeps its name");
      if (name !== undefined) await requireFreeName(name, role.id, trx);
      const held = heldBy(role);
      const permissions = given ? storedPermissions(given, held) : held;
      const added = permissions.filter((each) => !held.includes(each));
      const removed = held.filter((each) => !permissions.includes(each));
      if (role.name === "Admin" && added.length + removed.length > 0)
        throw builtIn("Admin has every permission, always");
      // Taking away asks for as much as giving: who lacks a right decides nothing about it.
      requireHeld([...added, ...removed], granter, "permissions");
      const row: StoredRole = {
        ...{ ...role, ...Role.columns({ name, description }) },
        ...{ permissions: JSON.stringify(permissions), version: role.version + 1, updatedAt: context.clock.now() },
      };
      await trx.updateTable("roles").set(row).where("id", "=", role.id).execute();
      const changed = (["name", "description"] as const).filter((each) => row[each] !== role[each]);
      await recordChange(context, "role.update", "role", role.id, { changed, added, removed }, trx);
      addEffect(trx, { type: "rights-changed", of: "role", roleId: role.id });
      return { row };
    },
    async remove(context, trx, role, granter, { reassignTo }) {
      if (role.builtin === 1) throw builtIn("A built-in role cannot be removed");
      requireHeld(heldBy(role), granter, "id");
      const { id } = role;
      const users = await requireUnused(trx, id, reassignTo);
      if (reassignTo !== undefined) await reassign(context, trx, role, granter, reassignTo);
      await trx.deleteFrom("user_roles").where("roleId", "=", id).execute();
      await trx.deleteFrom("roles").where("id", "=", id).execute();
      const metadata = { users, ...(reassignTo !== undefined && { reassignTo }) };
      await recordChange(context, "role.delete", "role", id, metadata, trx);
      // Its holders have the other role now.
      addEffect(trx, { type: "rights-changed", of: "role", roleId: id });
    },
  },
});

export type NewRole = v.InferOutput<ReturnType<typeof CreateBody>> & { readonly id?: string };

/** @throws PRIVILEGE_ESCALATION */
export function newRole(granter: Granter, given: NewRole): NewRole {
  const permissions = storedPermissions(given.permissions, []);
  requireHeld(permissions, granter, "permissions");
  return { ...given, permissions };
}

async function listRoles({ db }: RolesContext) {
  const all = await db.read.selectFrom("roles").selectAll().orderBy("builtin", "desc").orderBy("name").execute();
  const data = all.map(roleView);
  const tag = sha256Hex(data.map(({ id, version }) => `${id}:${version}`).join());
  return new Reply(200, { data }, { ETag: `"${tag.slice(0, 32)}"`, "Cache-Control": "private, no-cache" });
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

/** @returns how many users hold it, who get the other role. @throws ROLE_IN_USE */
async function requireUnused(trx: Trx, id: string, reassignTo: string | undefined): Promise<number> {
  const users = await countUsers(id, trx);
  const naming = sql<boolean>`exists (select 1 from json_each(rules.targetRoles) where value = ${id})`;
  const rules = await countOf(trx.selectFrom("rules").where("deletedAt", "is", null).where(naming));
  if (rules === 0 && reassignTo !== id && (users === 0 || reassignTo !== undefined)) return users;
  const message =
    `is held by ${users} ${users === 1 ? "user" : "users"} ` +
    `and named by ${rules} ${rules === 1 ? "rule" : "rules"}`;
  throw new PrismError("ROLE_IN_USE", `The role ${message}`, {
    details: [{ path: "id", code: "ROLE_IN_USE", message }],
  });
}

/** Gives another role to the holders of one. @throws ROLE_NOT_FOUND, PRIVILEGE_ESCALATION */
async function reassign(
  context: RolesContext,
  trx: Trx,
  from: StoredRole,
  granter: Granter,
  to: string,
): Promise<void> {
  const other = await Role.require(trx, to, "ROLE_NOT_FOUND", "role");
  requireHeld(heldBy(other), granter, "reassignTo");
  const now = context.clock.now();
  await sql`insert or ignore into user_roles (userId, roleId, grantedBy, createdAt, sources)
      select userId, ${other.id}, ${granter.userId}, ${now}, sources from user_roles where roleId = ${from.id}`.execute(
    trx,
  );
}

function builtIn(message: string): PrismError {
  return new PrismError("ROLE_BUILTIN", message);
}
