import { sql } from "kysely";
import type { PageRequest } from "../../../http/pagination.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { countOf, newestFirst } from "../../../store/sqlite/list-queries.ts";

export interface UserFilter {
  readonly q?: string | undefined;
  readonly status?: UserStatus | undefined;
  readonly role?: string | undefined;
}

/** Newest first: ids are UUIDv7, so their order is that of creation. */
export function listUsers(db: ReadDb, filter: UserFilter, page: PageRequest) {
  return newestFirst(matching(db, filter).selectAll(), page).execute();
}

export function countUsers(db: ReadDb, filter: UserFilter): Promise<number> {
  return countOf(matching(db, filter));
}

function matching(db: ReadDb, { q, status, role }: UserFilter) {
  let query = db.selectFrom("users").where("users.deletedAt", "is", null);
  if (status !== undefined) query = query.where("users.status", "=", status);
  if (role !== undefined) {
    query = query.where(({ exists, selectFrom }) =>
      exists(
        selectFrom("user_roles")
          .innerJoin("roles", "roles.id", "user_roles.roleId")
          .select("user_roles.userId")
          .whereRef("user_roles.userId", "=", "users.id")
          .where("roles.name", "=", role),
      ),
    );
  }
  if (q !== undefined) {
    const like = `%${q.toLowerCase().replaceAll(/[\\%_]/g, "\\$&")}%`;
    query = query.where(
      sql<boolean>`(lower(users.name) like ${like} escape '\\' or users.email like ${like} escape '\\'
        or users.username like ${like} escape '\\' or users.phone like ${like} escape '\\'
        or users.externalId like ${like} escape '\\')`,
    );
  }
  return query;
}

/** Names and permissions of the roles of several users. */
export async function rolesOfUsers(db: ReadDb, userIds: readonly string[]) {
  return db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["user_roles.userId", "roles.name", "roles.permissions"])
    .where("user_roles.userId", "in", userIds)
    .orderBy("roles.name")
    .execute();
}
