import type { ReadDb } from "../../store/database.ts";

/** A user's row with the names of the roles held. */
export async function findUser(db: ReadDb, id: string) {
  const user = await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const roles = await db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select("roles.name")
    .where("user_roles.userId", "=", id)
    .orderBy("roles.name")
    .execute();
  return { ...user, roles: roles.map(({ name }) => name) };
}
