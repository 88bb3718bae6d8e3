import { sql } from "kysely";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { type Permission, storedPermissions } from "../../../core/permissions.ts";
import { requireVersion } from "../../../http/versions.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { type Granter, requireHeld } from "../accounts/role-grants.ts";

/** What the feature needs besides the services of every module. */
export interface RolesOwn {
  readonly db: Database;
  readonly clock: Clock;
}

export type RolesContext = RolesOwn & Pick<CoreServices, "audit">;

interface RoleInput {
  readonly name?: string | undefined;
  readonly permissions?: readonly string[] | undefined;
  readonly description?: string | undefined;
}

export class RoleService {
  readonly #context: RolesContext;

  constructor(context: RolesContext) {
    this.#context = context;
  }

  list() {
    return this.#context.db.read.selectFrom("roles").selectAll().orderBy("builtin", "desc").orderBy("name").execute();
  }

  /** @throws ROLE_NOT_FOUND */
  async get(id: string, db: ReadDb = this.#context.db.read) {
    const role = await db.selectFrom("roles").selectAll().where("id", "=", id).executeTakeFirst();
    if (!role) throw noSuchRole();
    return role;
  }

  /** @throws NAME_TAKEN, PRIVILEGE_ESCALATION */
  async create(input: RoleInput & { readonly name: string }, granter: Granter) {
    const { db, clock } = this.#context;
    const permissions = storedPermissions(input.permissions ?? [], []);
    requireHeld(permissions, granter, "permissions");
    return db.write(async (trx) => {
      await requireFreeName(input.name, null, trx);
      const now = clock.now();
      const id = uuidv7();
      await trx
        .insertInto("roles")
        .values({
          id,
          name: input.name,
          permissions: JSON.stringify(permissions),
          description: input.description ?? "",
          createdAt: now,
          updatedAt: now,
        })
        .execute();
      await this.#record("role.create", id, { permissions }, trx);
      return this.get(id, trx);
    });
  }

  /** @param ifMatch the header. @throws ROLE_NOT_FOUND, ROLE_BUILTIN, NAME_TAKEN, PRIVILEGE_ESCALATION, VERSION_CONFLICT */
  async update(id: string, input: RoleInput, ifMatch: string, granter: Granter) {
    const { db, clock } = this.#context;
    return db.write(async (trx) => {
      const role = await this.get(id, trx);
      requireVersion(ifMatch, role.version);
      const isRenamed = input.name !== undefined && input.name !== role.name;
      if (role.builtin === 1 && isRenamed) throw builtIn("A built-in role keeps its name");
      if (input.name !== undefined) await requireFreeName(input.name, id, trx);
      const held = JSON.parse(role.permissions) as string[];
      const permissions = input.permissions ? storedPermissions(input.permissions, held) : held;
      const added = permissions.filter((each) => !held.includes(each));
      const removed = held.filter((each) => !permissions.includes(each));
      if (role.name === "Admin" && added.length + removed.length > 0)
        throw builtIn("Admin has every permission, always");
      // Taking away asks for as much as giving: who lacks a right decides nothing about it.
      requireHeld([...added, ...removed], granter, "permissions");
      await trx
        .updateTable("roles")
        .set({
          name: input.name ?? role.name,
          permissions: JSON.stringify(permissions),
          description: input.description ?? role.description,
          version: role.version + 1,
          updatedAt: clock.now(),
        })
        .where("id", "=", id)
        .execute();
      const changed = (["name", "description"] as const).filter((each) => (input[each] ?? role[each]) !== role[each]);
      await this.#record("role.update", id, { changed, added, removed }, trx);
      addEffect(trx, { type: "rights-changed", of: "role", roleId: id });
      return this.get(id, trx);
    });
  }

  /** @param reassignTo the role that its users get instead. @throws ROLE_NOT_FOUND, ROLE_BUILTIN, ROLE_IN_USE, PRIVILEGE_ESCALATION */
  async remove(id: string, reassignTo: string | undefined, granter: Granter): Promise<void> {
    const { db, clock } = this.#context;
    await db.write(async (trx) => {
      const role = await this.get(id, trx);
      if (role.builtin === 1) throw builtIn("A built-in role cannot be removed");
      requireHeld(JSON.parse(role.permissions) as Permission[], granter, "id");
      const rules = await countRules(id, trx);
      const users = await countUsers(id, trx);
      if (rules > 0 || (users > 0 && reassignTo === undefined)) throw inUse(users, rules);
      if (reassignTo !== undefined) {
        const other = await this.get(reassignTo, trx);
        if (other.id === id) throw inUse(users, rules);
        requireHeld(JSON.parse(other.permissions) as Permission[], granter, "reassignTo");
        await sql`insert or ignore into user_roles (userId, roleId, grantedBy, createdAt)
          select userId, ${other.id}, ${granter.userId}, ${clock.now()} from user_roles where roleId = ${id}`.execute(
          trx,
        );
      }
      await trx.deleteFrom("user_roles").where("roleId", "=", id).execute();
      await trx.deleteFrom("roles").where("id", "=", id).execute();
      await this.#record("role.delete", id, { users, ...(reassignTo === undefined ? {} : { reassignTo }) }, trx);
      // Its holders have the other role now.
      addEffect(trx, { type: "rights-changed", of: "role", roleId: id });
    });
  }

  async #record(
    action: string,
    id: string,
    metadata: Readonly<Record<string, string | number | readonly string[]>>,
    trx: Trx,
  ): Promise<void> {
    await this.#context.audit.record({ action, resourceType: "role", resourceId: id, metadata }, { trx });
  }
}

async function requireFreeName(name: string, owner: string | null, trx: Trx): Promise<void> {
  const holder = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirst();
  if (holder && holder.id !== owner) throw new PrismError("NAME_TAKEN", "Another role has this name");
}

/** Those who were deleted keep their roles for the record, and hold none. */
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
  const message = `is held by ${users} ${users === 1 ? "user" : "users"} and named by ${rules} ${rules === 1 ? "rule" : "rules"}`;
  return new PrismError("ROLE_IN_USE", `The role ${message}`, {
    details: [{ path: "id", code: "ROLE_IN_USE", message }],
  });
}

function noSuchRole(): PrismError {
  return new PrismError("ROLE_NOT_FOUND", "No such role");
}

function builtIn(message: string): PrismError {
  return new PrismError("ROLE_BUILTIN", message);
}
