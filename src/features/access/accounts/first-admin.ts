import type { Config } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Database, ReadDb } from "../../../store/database.ts";
import { DEV_USERNAME } from "../bootstrap.ts";
import type { UserAdmin } from "../user-admin.ts";
import { hasAdmin } from "./has-admin.ts";
import type { PasswordHasher } from "./password-hasher.ts";
import { requireStrong } from "./password-text.ts";
import { makeSetupToken } from "./setup-token.ts";

export interface FirstAdminParts {
  readonly config: Config;
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: PasswordHasher;
  readonly userAdmin: UserAdmin;
  readonly log: Logger;
}

/**
 * How the first Admin comes to be. `exists`: there is one; `setupToken`: whoever registers with it becomes one, and it is to be shown now, for it
 * can never be shown again; `awaited`: it was shown at an earlier start.
 */
export type FirstAdmin =
  | { readonly state: "exists" }
  | { readonly state: "setupToken"; readonly token: string }
  | { readonly state: "awaited" };

/** Makes a setup token while there is no Admin, outside development (D51). Called when nothing can keep it from being shown any more. */
export async function awaitFirstAdmin(
  parts: Pick<FirstAdminParts, "config" | "database" | "clock" | "log">,
): Promise<FirstAdmin> {
  const { config, database, clock, log } = parts;
  const isDevelopment = config.env === "development";
  if (isDevelopment || (await hasAdmin(database.read, { isDevelopment }))) return { state: "exists" };
  const token = await database.write((trx) => makeSetupToken(trx, clock.now()));
  // The token itself is for the terminal: logs are kept and read by many.
  log.warn({ isShownNow: token !== null }, "there is no administrator yet; register with the setup token");
  return token === null ? { state: "awaited" } : { state: "setupToken", token };
}

/** Makes the Admin of `auth.bootstrapAdmin` at a start without users (D14). @throws ConfigRefused for settings that cannot be an account */
export async function makeConfiguredAdmin(parts: FirstAdminParts): Promise<void> {
  const { config, database, passwords, userAdmin, log } = parts;
  const { email, password } = config.auth.bootstrapAdmin;
  if (email === undefined && password === undefined) return;
  if (email === undefined || password === undefined)
    throw new ConfigRefused(["auth.bootstrapAdmin needs both email and password, or neither"]);
  if (await hasUsers(database.read)) return;
  try {
    requireStrong(password, config.auth.passwordMin, [email]);
    const passwordHash = await passwords.hash(password);
    const { id } = await database.write((trx) => userAdmin.create({ email, passwordHash, roles: ["Admin"] }, trx));
    log.info({ userId: id }, "the administrator of auth.bootstrapAdmin was made");
  } catch (error) {
    if (!(error instanceof PrismError) || !REFUSED.has(error.code)) throw error;
    throw new ConfigRefused([`auth.bootstrapAdmin: ${error.message}`]);
  }
}

/** What is wrong with the setting itself, and not with the database. */
const REFUSED: ReadonlySet<string> = new Set(["VALIDATION_FAILED", "WEAK_PASSWORD"]);

/** Whether anybody was ever made, the administrator of development aside. */
async function hasUsers(db: ReadDb): Promise<boolean> {
  const user = await db
    .selectFrom("users")
    .select("id")
    .where(({ or, eb }) => or([eb("username", "is", null), eb("username", "!=", DEV_USERNAME)]))
    .limit(1)
    .executeTakeFirst();
  return user !== undefined;
}
