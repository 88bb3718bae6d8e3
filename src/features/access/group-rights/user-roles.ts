import type { Trx } from "../../../store/database.ts";
import { type Granter, heldRoles, permissionsOf, requireHeld, rolesByName } from "../authorize.ts";
import { fromGroups, type OwnSource, ofGroups, ownOf, readSources, type Sources, storedSources } from "./sources.ts";

/**
 * Replaces the roles that people and files give a user; those of groups stay.
 * @param source files leave out what only groups give, people name it. @returns the ids of added and removed roles.
 * @throws ROLE_NOT_FOUND, PRIVILEGE_ESCALATION; RIGHTS_FROM_GROUPS if a person leaves out what only groups give
 */
export async function replaceRoles(
  userId: string,
  names: readonly string[],
  granter: Granter,
  now: number,
  trx: Trx,
  source: OwnSource = "hand",
): Promise<{ added: string[]; removed: string[] }> {
  const wanted = await rolesByName(names, trx);
  const held = await heldRoles(userId, trx);
  const added = wanted.filter(({ id }) => !held.some((role) => role.id === id));
  const removed: string[] = [];
  requireHeld(permissionsOf(added), granter, "roles");
  for (const role of held) {
    const row = { userId, roleId: role.id };
    const sources = readSources(role);
    const groups = ofGroups(sources);
    const isWanted = wanted.some(({ id }) => id === role.id);
    if (ownOf(sources) === undefined) {
      if (!isWanted && source === "hand") throw fromGroups(`The role ${role.name}`, sources);
      if (isWanted && source === "file") await storeRoleSources(trx, row, { ...groups, file: "" });
    } else if (!isWanted) {
      removed.push(role.id);
      await storeRoleSources(trx, row, groups);
    }
  }
  const sources = storedSources({ [source]: "" });
  for (const { id } of added)
    await trx
      .insertInto("user_roles")
      .values({ userId, roleId: id, grantedBy: granter.userId, createdAt: now, sources })
      .execute();
  return { added: added.map(({ id }) => id), removed };
}

/** Stores who gives a user a role that the user has; without a source it is gone. */
export async function storeRoleSources(
  trx: Trx,
  { userId, roleId }: { readonly userId: string; readonly roleId: string },
  sources: Sources,
): Promise<void> {
  const isGone = Object.keys(sources).length === 0;
  if (isGone) await trx.deleteFrom("user_roles").where("userId", "=", userId).where("roleId", "=", roleId).execute();
  else
    await trx
      .updateTable("user_roles")
      .set({ sources: storedSources(sources) })
      .where("userId", "=", userId)
      .where("roleId", "=", roleId)
      .execute();
}
