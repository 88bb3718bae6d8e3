import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { BUILT_IN_ROLES } from "../../core/permissions.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";

export const DEFAULT_PROJECT_SLUG = "default";
export const DEV_USERNAME = "dev";

export interface Bootstrapped {
  readonly defaultProjectId: string;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
}

/**
 * Makes what every installation has: the built-in roles, the default project, and in development the administrator `dev`. Running it again
 * changes nothing, but for the permissions of Admin, which are always all there are.
 */
export async function bootstrap(
  database: Database,
  reader: Sqlite,
  audit: AuditService,
  clock: Clock,
  isDevelopment: boolean,
): Promise<Bootstrapped> {
  const found = find(reader);
  const isComplete =
    found.defaultProjectId !== undefined && found.hasRoles && (!isDevelopment || found.devUserId !== undefined);
  if (!isComplete) await database.write((trx) => make(trx, audit, clock.now(), isDevelopment));
  const { defaultProjectId, devUserId } = isComplete ? found : find(reader);
  if (defaultProjectId === undefined) throw new Error("the default project could not be made");
  return { defaultProjectId, devUserId: isDevelopment ? (devUserId ?? null) : null };
}

function find(reader: Sqlite): {
  defaultProjectId: string | undefined;
  devUserId: string | undefined;
  hasRoles: boolean;
} {
  const project = reader
    .prepare<[string], { id: string }>("select id from projects where slug = ? and deletedAt is null")
    .get(DEFAULT_PROJECT_SLUG);
  const dev = reader
    .prepare<[string], { id: string }>("select id from users where username = ? and deletedAt is null")
    .get(DEV_USERNAME);
  const roles = reader
    .prepare<[], { name: string; permissions: string }>("select name, permissions from roles where builtin = 1")
    .all();
  const hasRoles =
    Object.keys(BUILT_IN_ROLES).every((name) => roles.some((role) => role.name === name)) &&
    roles.find(({ name }) => name === "Admin")?.permissions === JSON.stringify(BUILT_IN_ROLES["Admin"]);
  return { defaultProjectId: project?.id, devUserId: dev?.id, hasRoles };
}

async function make(trx: Trx, audit: AuditService, now: number, isDevelopment: boolean): Promise<void> {
  const stamps = { createdAt: now, updatedAt: now };
  for (const [name, permissions] of Object.entries(BUILT_IN_ROLES)) {
    const json = JSON.stringify(permissions);
    const insert = trx.insertInto("roles").values({ id: uuidv7(), name, permissions: json, builtin: 1, ...stamps });
    // Operators may edit the other built-in roles; what they chose stays.
    await insert
      .onConflict((conflict) =>
        name === "Admin"
          ? conflict
              .column("name")
              .doUpdateSet(({ eb }) => ({ permissions: json, version: eb("roles.version", "+", 1), updatedAt: now }))
              .where("roles.permissions", "!=", json)
          : conflict.column("name").doUpdateSet({ builtin: 1 }),
      )
      .execute();
  }
  await trx
    .insertInto("projects")
    .values({ id: uuidv7(), slug: DEFAULT_PROJECT_SLUG, name: "Default", ...stamps })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  if (!isDevelopment) return;
  const existing = await trx
    .selectFrom("users")
    .select("id")
    .where("username", "=", DEV_USERNAME)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (existing) return;
  const userId = uuidv7();
  await trx
    .insertInto("users")
    .values({ id: userId, username: DEV_USERNAME, name: "Developer", status: "active", ...stamps })
    .execute();
  const admin = await trx.selectFrom("roles").select("id").where("name", "=", "Admin").executeTakeFirstOrThrow();
  await trx.insertInto("user_roles").values({ userId, roleId: admin.id, createdAt: now }).execute();
  await audit.record(
    {
      action: "user.register",
      resourceType: "user",
      resourceId: userId,
      metadata: { roles: ["Admin"], by: "development start" },
    },
    { trx },
  );
}
