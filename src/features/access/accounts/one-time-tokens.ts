import { randomBytes } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { hashToken } from "../../../core/tokens.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

export type OneTimeKind = "verify_email" | "reset_password" | "invite";

const HOUR_MS = 3_600_000;
/** How long a link from a mail is good. */
export const LINK_LIFE_MS: Readonly<Record<OneTimeKind, number>> = {
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
    await this.revokeAll(userId, trx, kind);
    return this.add(userId, kind, trx);
  }

  /** @returns the token; earlier ones stay good until their time is over. */
  async add(userId: string, kind: OneTimeKind, trx: Trx): Promise<string> {
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const expiresAt = this.#clock.now() + LINK_LIFE_MS[kind];
    await trx
      .insertInto("one_time_tokens")
      .values({ hash: hashToken(token), userId, kind, expiresAt })
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

  /** How many tokens of a kind are good, and whether one of them was made in the last `withinMs`. */
  async openOf(
    userId: string,
    kind: OneTimeKind,
    withinMs: number,
    db: ReadDb,
  ): Promise<{ readonly count: number; readonly isRecent: boolean }> {
    const now = this.#clock.now();
    const open = await db
      .selectFrom("one_time_tokens")
      .select("expiresAt")
      .where("userId", "=", userId)
      .where("kind", "=", kind)
      .where("usedAt", "is", null)
      .where("expiresAt", ">", now)
      .execute();
    // One that seems to be made later than now is from before the clock was set back.
    const ages = open.map(({ expiresAt }) => now + LINK_LIFE_MS[kind] - expiresAt);
    return { count: open.length, isRecent: ages.some((age) => age >= 0 && age < withinMs) };
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
