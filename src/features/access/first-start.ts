import type { Database as Sqlite } from "better-sqlite3";
import { ConfigRefused } from "../../config/option.ts";
import { createToken, hashToken, secretsEqual } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { BUILT_IN_ROLES } from "../../core/permissions.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import { readSetting } from "../../store/setting-rows.ts";
import type { AuditTrail } from "../records/audit/index.ts";
import { recordChange } from "./context.ts";
import type { PasswordHasher } from "./passwords/hasher.ts";
import { requireStrong } from "./passwords/password-text.ts";
import { Project } from "./projects/project.ts";
import { Role } from "./roles/role.ts";
import { createUser } from "./users/create-user.ts";
import { usersWith } from "./users/queries.ts";

const DEFAULT_PROJECT_SLUG = "default";
const DEV_USERNAME = "dev";
/** In the table `settings`: `projects.defaultOpen` of a server that ran before the setting existed. */
export const DEFAULT_OPEN_SETTING = "projects.defaultOpen";

export interface Bootstrapped {
  readonly defaultProjectId: string;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
  /** `projects.defaultOpen` of a server that ran before the setting existed: written by a migration. */
  readonly wasDefaultOpen: boolean;
}

/**
 * Creates what every installation has: the built-in roles, the default project, and in development
 * the administrator `dev`. Idempotent, except that Admin always gets every permission.
 */
export async function bootstrap(
  database: Database,
  reader: Sqlite,
  audit: AuditTrail,
  clock: Clock,
  isDevelopment: boolean,
): Promise<Bootstrapped> {
  const found = find(reader);
  const isComplete =
    found.defaultProjectId !== undefined && found.hasRoles && (!isDevelopment || found.devUserId !== undefined);
  if (!isComplete) await database.write((trx) => make(trx, audit, clock.now(), isDevelopment));
  const { defaultProjectId, devUserId } = isComplete ? found : find(reader);
  if (defaultProjectId === undefined) throw new Error("the default project could not be made");
  const wasDefaultOpen = reader
    .prepare<[string], { value: unknown }>("select value from settings where key = ?")
    .get(DEFAULT_OPEN_SETTING)?.value;
  return {
    defaultProjectId,
    devUserId: isDevelopment ? (devUserId ?? null) : null,
    wasDefaultOpen: wasDefaultOpen === 1,
  };
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

async function make(trx: Trx, audit: AuditTrail, now: number, isDevelopment: boolean): Promise<void> {
  const stamps = { createdAt: now, updatedAt: now };
  for (const [name, permissions] of Object.entries(BUILT_IN_ROLES)) {
    const json = JSON.stringify(permissions);
    const role = { ...Role.initial, id: uuidv7(), name, permissions: json, builtin: 1 as const, ...stamps };
    const insert = trx.insertInto("roles").values(role);
    // Operators may edit the other built-in roles; their changes stay.
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
    .values({
      ...{ ...Project.initial, id: uuidv7(), slug: DEFAULT_PROJECT_SLUG, name: "Default" },
      ...{ ownerId: null, settings: "{}", ...stamps },
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  if (!isDevelopment) return;
  if (await usersWith(trx, "username", DEV_USERNAME).select("id").executeTakeFirst()) return;
  const userId = uuidv7();
  await trx
    .insertInto("users")
    .values({ id: userId, username: DEV_USERNAME, name: "Developer", status: "active", ...stamps })
    .execute();
  const admin = await trx.selectFrom("roles").select("id").where("name", "=", "Admin").executeTakeFirstOrThrow();
  await trx.insertInto("user_roles").values({ userId, roleId: admin.id, createdAt: now }).execute();
  await recordChange({ audit }, "user.register", "user", userId, { roles: ["Admin"], by: "development start" }, trx);
}

/**
 * Whether an active user holds Admin. The development administrator counts in development only:
 * elsewhere `/dev/token` is closed, and it has no credential unless it was given one.
 */
export async function hasAdmin(db: ReadDb, isDevelopment: boolean): Promise<boolean> {
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

const KEY = "setup.tokenHash";

/**
 * The secret that makes the first account of a production server its Admin: valid once, until there
 * is an Admin. The database stores its SHA-256. @returns null when one was created before, which
 * cannot be shown again.
 */
async function makeSetupToken(trx: Trx, now: number): Promise<string | null> {
  const known = await trx.selectFrom("settings").select("key").where("key", "=", KEY).executeTakeFirst();
  if (known) return null;
  const { token, hash } = createToken("prs");
  await trx.insertInto("settings").values({ key: KEY, value: hash, updatedAt: now }).execute();
  return token;
}

/** @throws FORBIDDEN for a wrong token, or if there is an Admin */
export async function useSetupToken(token: string, trx: Trx): Promise<void> {
  const stored = await readSetting(trx, KEY);
  const isTooLate = await hasAdmin(trx, false);
  if (stored === undefined || isTooLate || !secretsEqual(String(stored), hashToken(token)))
    throw new PrismError("FORBIDDEN", "The setup token is not valid");
  await trx.deleteFrom("settings").where("key", "=", KEY).execute();
}

type FirstAdminParts = Uses<"config" | "db" | "clock" | "audit" | "log"> & { readonly passwords: PasswordHasher };

/**
 * The state of the first Admin. `exists`: there is one; `setupToken`: the first registration with
 * it becomes Admin, and it must be shown now because it is not stored; `awaited`: it was shown at
 * an earlier start.
 */
export type FirstAdmin =
  | { readonly state: "exists" }
  | { readonly state: "setupToken"; readonly token: string }
  | { readonly state: "awaited" };

/**
 * Creates a setup token while there is no Admin, outside development. Call it when nothing can
 * prevent it from being shown.
 */
export async function awaitFirstAdmin(parts: Uses<"config" | "db" | "clock" | "log">): Promise<FirstAdmin> {
  const { config, db, clock, log } = parts;
  const isDevelopment = config.env === "development";
  if (isDevelopment || (await hasAdmin(db.read, isDevelopment))) return { state: "exists" };
  const token = await db.write((trx) => makeSetupToken(trx, clock.now()));
  // The token itself is printed to the terminal only: logs are stored and widely readable.
  log.warn({ isShownNow: token !== null }, "no administrator yet; register one with the setup token");
  return token === null ? { state: "awaited" } : { state: "setupToken", token };
}

/**
 * Creates the Admin of `auth.bootstrapAdmin` at a start without users. @throws ConfigRefused for
 * settings that are not a valid account
 */
export async function makeConfiguredAdmin(parts: FirstAdminParts): Promise<void> {
  const { config, db, audit, clock, passwords, log } = parts;
  const { email, password } = config.auth.bootstrapAdmin;
  if (email === undefined && password === undefined) return;
  if (email === undefined || password === undefined)
    throw new ConfigRefused(["auth.bootstrapAdmin needs both email and password, or neither"]);
  if (await hasUsers(db.read)) return;
  try {
    requireStrong(password, config.auth.passwordMin, [email]);
    const passwordHash = await passwords.hash(password);
    const { id } = await db.write((trx) =>
      createUser(
        { audit, clock, timezone: config.timezone },
        { email, passwordHash, roles: ["Admin"], isEmailVerified: true },
        trx,
      ),
    );
    log.info({ userId: id }, "created administrator from auth.bootstrapAdmin");
  } catch (error) {
    if (!(error instanceof PrismError) || !REFUSED.has(error.code)) throw error;
    throw new ConfigRefused([`auth.bootstrapAdmin: ${error.message}`]);
  }
}

/** Errors caused by the setting, not by the database. */
const REFUSED: ReadonlySet<string> = new Set(["VALIDATION_FAILED", "WEAK_PASSWORD"]);

/** Whether any user was ever created, except the development administrator. */
async function hasUsers(db: ReadDb): Promise<boolean> {
  const user = await db
    .selectFrom("users")
    .select("id")
    .where(({ or, eb }) => or([eb("username", "is", null), eb("username", "!=", DEV_USERNAME)]))
    .limit(1)
    .executeTakeFirst();
  return user !== undefined;
}
