import type { Selectable } from "kysely";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { Schema } from "../../../store/schema.ts";
import type { AccountContext } from "../context.ts";
import { relyingPartyOf } from "./relying-party.ts";

export type StoredPasskey = Selectable<Schema["passkeys"]>;

/** Passkeys of an account, oldest first. */
export async function passkeysOf(userId: string, db: ReadDb | Trx): Promise<StoredPasskey[]> {
  const found = db.selectFrom("passkeys").selectAll().where("userId", "=", userId);
  return found.orderBy("createdAt").orderBy("id").execute();
}

/** Whether an account has a passkey of this server's host. */
export async function hasUsablePasskey(ctx: AccountContext, userId: string, db: ReadDb | Trx): Promise<boolean> {
  const { rpId } = relyingPartyOf(ctx.config);
  return rpId !== null && (await passkeysOf(userId, db)).some((each) => each.rpId === rpId);
}

/** All of an account. @returns how many there were */
export async function deletePasskeys(userId: string, trx: Trx): Promise<number> {
  const { numDeletedRows } = await trx.deleteFrom("passkeys").where("userId", "=", userId).executeTakeFirst();
  return Number(numDeletedRows);
}
