import type { ReadDb } from "../../../store/database.ts";
import { DEV_USERNAME } from "../bootstrap.ts";

/**
 * Whether somebody can administer this server: an active user who holds Admin. The administrator that development makes counts there only:
 * elsewhere it gets no token from `/dev/token`, and is nobody unless it was given a password or a service token.
 */
export async function hasAdmin(db: ReadDb, { isDevelopment }: { readonly isDevelopment: boolean }): Promise<boolean> {
  let query = db
    .selectFrom("users")
    .innerJoin("user_roles", "user_roles.userId", "users.id")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select("users.id")
    .where("roles.name", "=", "Admin")
    .where("users.status", "=", "active")
    .where("users.deletedAt", "is", null);
  if (!isDevelopment) {
    query = query.where(({ or, eb, exists, selectFrom }) =>
      or([
        eb("users.username", "is", null),
        eb("users.username", "!=", DEV_USERNAME),
        eb("users.passwordHash", "is not", null),
        exists(
          selectFrom("service_tokens")
            .select("service_tokens.id")
            .whereRef("service_tokens.userId", "=", "users.id")
            .where("service_tokens.revokedAt", "is", null),
        ),
      ]),
    );
  }
  return (await query.limit(1).executeTakeFirst()) !== undefined;
}
