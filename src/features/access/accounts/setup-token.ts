import { PrismError } from "../../../core/errors.ts";
import { createToken, hashToken, secretsEqual } from "../../../core/tokens.ts";
import type { Trx } from "../../../store/database.ts";
import { hasAdmin } from "./has-admin.ts";

const KEY = "setup.tokenHash";

/**
 * The secret that makes the first account of a production server its Admin (D51): good once, until there is an Admin. The database holds its
 * SHA-256. @returns null when one was made before, which nobody can show again.
 */
export async function makeSetupToken(trx: Trx, now: number): Promise<string | null> {
  const known = await trx.selectFrom("settings").select("key").where("key", "=", KEY).executeTakeFirst();
  if (known) return null;
  const { token, hash } = createToken("prs");
  await trx.insertInto("settings").values({ key: KEY, value: hash, updatedAt: now }).execute();
  return token;
}

/** @throws FORBIDDEN when the token is another, or there is an Admin already */
export async function useSetupToken(token: string, trx: Trx): Promise<void> {
  const row = await trx.selectFrom("settings").select("value").where("key", "=", KEY).executeTakeFirst();
  const isTooLate = await hasAdmin(trx, { isDevelopment: false });
  if (!row || isTooLate || !secretsEqual(String(row.value), hashToken(token)))
    throw new PrismError("FORBIDDEN", "The setup token is not valid");
  await trx.deleteFrom("settings").where("key", "=", KEY).execute();
}
