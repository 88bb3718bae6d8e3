import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import { hashToken } from "../../base/tokens.ts";
import type { ReadDb, Trx } from "../../store/database.ts";

export type OneTimeKind = "verify_email" | "reset_password" | "invite";

const HOUR_MS = 3_600_000;
/** How long a link from a mail is good. */
const LIFE_MS: Readonly<Record<OneTimeKind, number>> = {
  verify_email: 24 * HOUR_MS,
  reset_password: HOUR_MS,
  invite: 7 * 24 * HOUR_MS,
};
const TOKEN_BYTES = 32;

/** The secrets of links that are sent by mail: good once, for a while, for one purpose. The database holds their SHA-256. */
export class OneTimeTokens {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns the token; earlier ones of this kind are good no more. */
  async create(userId: string, kind: OneTimeKind, trx: Trx): Promise<string> {
    const now = this.#clock.now();
    await this.revokeAll(userId, trx, kind);
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    await trx
      .insertInto("one_time_tokens")
      .values({ hash: hashToken(token), userId, kind, expiresAt: now + LIFE_MS[kind] })
      .execute();
    return token;
  }

  /** @returns the user it was made for. @throws LINK_EXPIRED when it is unknown, used, or too old: which of them is nobody's business */
  async consume(token: string, kind: OneTimeKind, trx: Trx): Promise<string> {
    const now = this.#clock.now();
    const found = await trx
      .updateTable("one_time_tokens")
      .set({ usedAt: now })
      .where("hash", "=", hashToken(token))
      .where("kind", "=", kind)
      .where("usedAt", "is", null)
      .where("expiresAt", ">", now)
      .returning("userId")
      .executeTakeFirst();
    if (!found) throw linkExpired();
    return found.userId;
  }

  /** The user a token was made for, as long as it is good: to refuse early what would be refused anyway. @throws LINK_EXPIRED */
  async ownerOf(token: string, kind: OneTimeKind, db: ReadDb): Promise<string> {
    const found = await db
      .selectFrom("one_time_tokens")
      .select("userId")
      .where("hash", "=", hashToken(token))
      .where("kind", "=", kind)
      .where("usedAt", "is", null)
      .where("expiresAt", ">", this.#clock.now())
      .executeTakeFirst();
    if (!found) throw linkExpired();
    return found.userId;
  }

  /** Whether one of this kind was made for the user in the last so many ms and is good still. */
  async hasRecent(userId: string, kind: OneTimeKind, withinMs: number, db: ReadDb): Promise<boolean> {
    const found = await db
      .selectFrom("one_time_tokens")
      .select("hash")
      .where("userId", "=", userId)
      .where("kind", "=", kind)
      .where("usedAt", "is", null)
      .where("expiresAt", ">", this.#clock.now() + LIFE_MS[kind] - withinMs)
      .executeTakeFirst();
    return found !== undefined;
  }

  /** @param kind all kinds by default: the account has changed hands or is closed. */
  async revokeAll(userId: string, trx: Trx, kind?: OneTimeKind): Promise<void> {
    let update = trx.updateTable("one_time_tokens").set({ usedAt: this.#clock.now() });
    if (kind) update = update.where("kind", "=", kind);
    await update.where("userId", "=", userId).where("usedAt", "is", null).execute();
  }
}

/** Said of every link that opens nothing. */
export function linkExpired(): PrismError {
  return new PrismError("LINK_EXPIRED", "The link has expired or was used");
}
