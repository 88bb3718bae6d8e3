import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { addressGroup } from "../../../http/client-address.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../../store/database.ts";
import type { AuditService } from "../../audit/index.ts";
import { accountError } from "../account-error.ts";

export interface SessionOptions {
  /** HMAC key of the refresh tokens' hashes (D15). */
  readonly refreshSecret: string;
  readonly refreshExpiresMs: number;
  readonly sessionMaxMs: number;
}

/** What is remembered of the client that opened a session. */
export interface ClientInfo {
  readonly ip: string;
  readonly userAgent: string;
}

/** A session with the refresh token that continues it, shown this once. */
export interface OpenSession {
  readonly id: string;
  readonly userId: string;
  readonly refreshToken: string;
  /** When the refresh token ends, epoch ms. */
  readonly expiresAt: number;
}

export interface SessionsParts {
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly options: SessionOptions;
}

/** Why a session ended. */
export type RevokeReason = "logout" | "revoked" | "reuse" | "password" | "account";

const TOKEN_BYTES = 32;
const MAX_AGENT_LENGTH = 256;

/**
 * Logins that last: each session is a chain of single-use refresh tokens. A second use of one means that somebody else has it, so the whole
 * session ends (D53; RFC 9700 section 4.14.2). Tokens are opaque and stored as HMAC-SHA-256 under the refresh secret.
 */
export class Sessions {
  readonly #parts: SessionsParts;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
  }

  async open(userId: string, client: ClientInfo, trx: Trx): Promise<OpenSession> {
    const { clock, options } = this.#parts;
    const now = clock.now();
    const id = uuidv7();
    await trx
      .insertInto("sessions")
      .values({
        id,
        userId,
        family: id,
        userAgent: client.userAgent.slice(0, MAX_AGENT_LENGTH),
        ip: client.ip,
        createdAt: now,
        lastUsedAt: now,
        expiresAt: now + options.sessionMaxMs,
      })
      .execute();
    return { id, userId, ...(await this.#issue(id, now + options.sessionMaxMs, now, trx)) };
  }

  /**
   * Takes a refresh token and gives the next one.
   * @throws UNAUTHENTICATED (unknown), TOKEN_EXPIRED, SESSION_REVOKED, REFRESH_REUSED (the session has been ended), ACCOUNT_DISABLED and its like
   */
  async rotate(refreshToken: string, client: ClientInfo): Promise<OpenSession> {
    // An error would roll back the revocation that goes with it.
    const outcome = await this.#parts.database.write((trx) => this.#rotate(refreshToken, client, trx));
    if (outcome instanceof PrismError) throw outcome;
    return outcome;
  }

  async #rotate(refreshToken: string, client: ClientInfo, trx: Trx): Promise<OpenSession | PrismError> {
    const { clock, audit } = this.#parts;
    const now = clock.now();
    const hash = this.#hash(refreshToken);
    const token = await trx
      .selectFrom("refresh_tokens")
      .innerJoin("sessions", "sessions.id", "refresh_tokens.sessionId")
      .innerJoin("users", "users.id", "sessions.userId")
      .select([
        "sessions.id",
        "sessions.userId",
        "sessions.expiresAt as sessionEnd",
        "sessions.revokedAt",
        "refresh_tokens.expiresAt",
        "refresh_tokens.usedAt",
        "users.status",
        "users.deletedAt",
      ])
      .where("refresh_tokens.hash", "=", hash)
      .executeTakeFirst();
    if (!token) return new PrismError("UNAUTHENTICATED", "The refresh token is not known");
    if (token.revokedAt !== null) return new PrismError("SESSION_REVOKED", "The session has ended; log in again");
    if (token.usedAt !== null) {
      await this.#revoke([token.id], token.userId, "reuse", trx);
      await audit.record(
        {
          action: "auth.refresh_reused",
          resourceType: "session",
          resourceId: token.id,
          metadata: { userId: token.userId },
        },
        { trx },
      );
      return new PrismError("REFRESH_REUSED", "The refresh token was used before; the session has ended");
    }
    if (Math.min(token.expiresAt, token.sessionEnd) <= now)
      return new PrismError("TOKEN_EXPIRED", "The refresh token has expired");
    if (token.deletedAt !== null) return new PrismError("SESSION_REVOKED", "The session has ended; log in again");
    if (token.status !== "active") return accountError(token.status);
    const next = await this.#issue(token.id, token.sessionEnd, now, trx);
    await trx
      .updateTable("refresh_tokens")
      .set({ usedAt: now, replacedBy: this.#hash(next.refreshToken) })
      .where("hash", "=", hash)
      .execute();
    await trx
      .updateTable("sessions")
      // The name is that of the login: it may be one that the user gave the device.
      .set({ lastUsedAt: now, ip: client.ip })
      .where("id", "=", token.id)
      .execute();
    return { id: token.id, userId: token.userId, ...next };
  }

  /** The session that a refresh token belongs to, used or not; undefined when there is none. */
  async ofRefreshToken(refreshToken: string, db: ReadDb): Promise<{ id: string; userId: string } | undefined> {
    return db
      .selectFrom("refresh_tokens")
      .innerJoin("sessions", "sessions.id", "refresh_tokens.sessionId")
      .select(["sessions.id", "sessions.userId"])
      .where("refresh_tokens.hash", "=", this.#hash(refreshToken))
      .executeTakeFirst();
  }

  /** The logins of a user that can still be continued, the last used first. */
  async listOf(userId: string, db: ReadDb) {
    const { clock, options } = this.#parts;
    const now = clock.now();
    return (
      db
        .selectFrom("sessions")
        .select(["id", "ip", "userAgent", "createdAt", "lastUsedAt"])
        .where("userId", "=", userId)
        .where("revokedAt", "is", null)
        .where("expiresAt", ">", now)
        // One that was left alone has outlived its refresh token.
        .where("lastUsedAt", ">", now - options.refreshExpiresMs)
        .orderBy("lastUsedAt", "desc")
        .orderBy("id", "desc")
        .execute()
    );
  }

  /** @returns the user of a session, ended or not. */
  async ownerOf(id: string, db: ReadDb): Promise<string | undefined> {
    const session = await db.selectFrom("sessions").select("userId").where("id", "=", id).executeTakeFirst();
    return session?.userId;
  }

  /** Ends one session. @returns false when it had ended, or there is none of this user. */
  async revoke(id: string, userId: string, reason: RevokeReason, trx: Trx): Promise<boolean> {
    const session = await trx
      .selectFrom("sessions")
      .select("id")
      .where("id", "=", id)
      .where("userId", "=", userId)
      .where("revokedAt", "is", null)
      .executeTakeFirst();
    if (!session) return false;
    await this.#revoke([id], userId, reason, trx);
    return true;
  }

  /** Ends the sessions of a user. @param except one that goes on. */
  async revokeAll(userId: string, reason: RevokeReason, trx: Trx, except: string | null = null): Promise<number> {
    const live = await trx
      .selectFrom("sessions")
      .select("id")
      .where("userId", "=", userId)
      .where("revokedAt", "is", null)
      .execute();
    const ids = live.map(({ id }) => id).filter((id) => id !== except);
    await this.#revoke(ids, userId, reason, trx);
    return ids.length;
  }

  async #revoke(ids: readonly string[], userId: string, reason: RevokeReason, trx: Trx): Promise<void> {
    const { clock } = this.#parts;
    for (const id of ids) {
      await trx
        .updateTable("sessions")
        .set({ revokedAt: clock.now(), revokeReason: reason })
        .where("id", "=", id)
        .execute();
      // Nothing is sent to a phone that has logged out.
      await trx.deleteFrom("push_devices").where("sessionId", "=", id).execute();
      addEffect(trx, { type: "rights-changed", of: "session", sessionId: id, userId });
    }
  }

  async #issue(
    sessionId: string,
    sessionEnd: number,
    now: number,
    trx: Trx,
  ): Promise<{ refreshToken: string; expiresAt: number }> {
    const refreshToken = `prr_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
    const expiresAt = Math.min(now + this.#parts.options.refreshExpiresMs, sessionEnd);
    await trx
      .insertInto("refresh_tokens")
      .values({ hash: this.#hash(refreshToken), sessionId, issuedAt: now, expiresAt })
      .execute();
    return { refreshToken, expiresAt };
  }

  #hash(refreshToken: string): string {
    return createHmac("sha256", this.#parts.options.refreshSecret).update(refreshToken).digest("hex");
  }
}

/** Whether the user has logged in from this address, or its IPv6 network, and used that session since. */
export async function hasSessionFrom(userId: string, address: string, sinceAt: number, db: ReadDb): Promise<boolean> {
  const group = addressGroup(address);
  const found = await db
    .selectFrom("sessions")
    .select("id")
    .where("userId", "=", userId)
    .where("lastUsedAt", ">", sinceAt)
    // A semicolon follows the colon: all addresses of the group lie between.
    .where((e) => e.or([e("ip", "=", address), e.and([e("ip", ">", `${group}:`), e("ip", "<", `${group};`)])]))
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
