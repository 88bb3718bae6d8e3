import { PrismError } from "../../../core/errors.ts";
import { isCustomPermission, PERMISSIONS, type Permission } from "../../../core/permissions.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

/** Who gives rights away. Nobody gives what they lack; who works on the data directory lacks nothing. */
export interface Granter {
  readonly userId: string | null;
  readonly permissions: ReadonlySet<string>;
}

export const COMMAND_LINE_GRANTER: Granter = { userId: null, permissions: new Set(PERMISSIONS) };

export function granterOf({ userId, permissions }: UserPrincipal): Granter {
  return { userId, permissions };
}

export interface RoleRow {
  readonly id: string;
  readonly name: string;
  readonly permissions: string;
}

/** @throws ROLE_NOT_FOUND, naming the one that is missing */
export async function rolesByName(names: readonly string[], trx: Trx): Promise<RoleRow[]> {
  const roles = new Map<string, RoleRow>();
  for (const [at, name] of names.entries()) {
    const role = await trx
      .selectFrom("roles")
      .select(["id", "name", "permissions"])
      .where("name", "=", name)
      .executeTakeFirst();
    if (!role) {
      throw new PrismError("ROLE_NOT_FOUND", "No such role", {
        details: [{ path: `roles.${at}`, code: "ROLE_NOT_FOUND", message: "is no role" }],
      });
    }
    roles.set(role.id, role);
  }
  return [...roles.values()];
}

/** @throws PRIVILEGE_ESCALATION when a permission is among them that the granter lacks */
export function requireHeld(permissions: readonly string[], granter: Granter, path: string): void {
  const lacking = permissions.filter((each) => !granter.permissions.has(each) && !isCustomPermission(each));
  if (lacking.length === 0) return;
  throw new PrismError("PRIVILEGE_ESCALATION", "Nobody grants a permission they lack", {
    details: lacking.map((permission) => ({ path, code: "PRIVILEGE_ESCALATION", message: `you lack ${permission}` })),
  });
}

export async function heldRoles(userId: string, db: ReadDb): Promise<RoleRow[]> {
  return db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["roles.id", "roles.name", "roles.permissions"])
    .where("user_roles.userId", "=", userId)
    .execute();
}

/**
 * Who manages users must not reach those who may do more: an account that is taken over gives what was not granted. That holds for one's own
 * account as well, by a service token that carries less than its user may do.
 * @throws PRIVILEGE_ESCALATION when the user holds a permission that the granter lacks
 */
export async function requireMayManage(userId: string, granter: Granter, trx: Trx): Promise<void> {
  requireHeld(permissionsOf(await heldRoles(userId, trx)), granter, "id");
}

/** Replaces the roles of a user. @returns the ids of roles that were added and removed. @throws ROLE_NOT_FOUND, PRIVILEGE_ESCALATION */
export async function replaceRoles(
  userId: string,
  names: readonly string[],
  granter: Granter,
  now: number,
  trx: Trx,
): Promise<{ added: string[]; removed: string[] }> {
  const wanted = await rolesByName(names, trx);
  const held = await heldRoles(userId, trx);
  const added = wanted.filter(({ id }) => !held.some((role) => role.id === id));
  const removed = held.filter(({ id }) => !wanted.some((role) => role.id === id));
  requireHeld(permissionsOf(added), granter, "roles");
  for (const { id } of removed)
    await trx.deleteFrom("user_roles").where("userId", "=", userId).where("roleId", "=", id).execute();
  for (const { id } of added)
    await trx
      .insertInto("user_roles")
      .values({ userId, roleId: id, grantedBy: granter.userId, createdAt: now })
      .execute();
  return { added: added.map(({ id }) => id), removed: removed.map(({ id }) => id) };
}

export function permissionsOf(roles: readonly RoleRow[]): Permission[] {
  return [...new Set(roles.flatMap(({ permissions }) => JSON.parse(permissions) as Permission[]))];
}
