import { createHmac, randomBytes } from "node:crypto";
import { sql } from "kysely";
import type { Config } from "../../../config/load.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup } from "../../../http/server/headers.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { accountError } from "../authenticate/principals.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { providersOf } from "./local-login.ts";
import type { Opening } from "./mail-links.ts";

/** Data of the client that opened a session. */
export interface ClientInfo {
  readonly ip: string;
  readonly userAgent: string;
}

/** The client's data of a request. @param device its own name, instead of its user agent */
export function clientOf(exchange: Exchange, device?: string): ClientInfo {
  return { ip: exchange.clientAddress, userAgent: device ?? exchange.header("user-agent") };
}

/** A session and its refresh token, which is shown only once. */
export interface OpenSession {
  readonly id: string;
  readonly userId: string;
  readonly refreshToken: string;
  /** Expiry of the refresh token, epoch ms. */
  readonly expiresAt: number;
  /** End of the session, epoch ms. */
  readonly endsAt: number;
}

export interface SessionContext extends Pick<AccountContext, "audit" | "clock" | "db"> {
  readonly config: {
    readonly auth: Pick<Config["auth"], "oidc" | "proxyHeader" | "refreshExpires" | "sessionMaxMs">;
    /** HMAC key for the hashes of refresh tokens. */
    readonly secrets: { readonly refresh: string };
  };
}

/** Why a session ended. */
export type RevokeReason = "logout" | "revoked" | "reuse" | "password" | "second factor" | "account" | "provider";

const TOKEN_BYTES = 32;
const MAX_AGENT_LENGTH = 256;
/** How long its first client can use a refresh token again while the replacement is unused. */
const LOST_ANSWER_MS = 30_000;

/*
 * Opens a session: a chain of single-use refresh tokens. A second use of one means that it was
 * stolen, so the whole session ends (RFC 9700 section 4.14.2), unless it comes shortly after the
 * first use, from the same address and user agent, and the replacement was never used: then the
 * answer was probably lost. Tokens are opaque and stored as HMAC-SHA-256 under the refresh secret.
 */

export async function openSession(
  ctx: SessionContext,
  userId: string,
  client: ClientInfo,
  trx: Trx,
  { via, sid, endsAt: latest = Number.POSITIVE_INFINITY }: Opening = {},
): Promise<OpenSession> {
  const { clock, config } = ctx;
  const now = clock.now();
  const id = uuidv7();
  const endsAt = Math.min(now + config.auth.sessionMaxMs, latest);
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
      expiresAt: endsAt,
      via: via ?? null,
      sid: sid ?? null,
    })
    .execute();
  return { id, userId, endsAt, ...(await issueRefreshToken(ctx, id, endsAt, now, trx)) };
}

/**
 * Exchanges a refresh token for the next one.
 * @throws UNAUTHENTICATED (unknown), TOKEN_EXPIRED, SESSION_REVOKED, REFRESH_REUSED (the session is
 * ended), ACCOUNT_DISABLED and similar
 */
export async function rotateSession(
  ctx: SessionContext,
  refreshToken: string,
  client: ClientInfo,
): Promise<OpenSession> {
  // An error would roll back the revocation that goes with it.
  const outcome = await ctx.db.write((trx) => rotateIn(ctx, refreshToken, client, trx));
  if (outcome instanceof PrismError) throw outcome;
  return outcome;
}

async function rotateIn(
  ctx: SessionContext,
  refreshToken: string,
  client: ClientInfo,
  trx: Trx,
): Promise<OpenSession | PrismError> {
  const now = ctx.clock.now();
  const hash = hashRefreshToken(ctx, refreshToken);
  const token = await trx
    .selectFrom("refresh_tokens")
    .innerJoin("sessions", "sessions.id", "refresh_tokens.sessionId")
    .innerJoin("users", "users.id", "sessions.userId")
    .select([
      "sessions.id",
      "sessions.userId",
      "sessions.expiresAt as sessionEnd",
      "sessions.revokedAt",
      "sessions.via",
      "refresh_tokens.expiresAt",
      "refresh_tokens.usedAt",
      "refresh_tokens.replacedBy",
      "refresh_tokens.usedBy",
      "users.status",
      "users.deletedAt",
    ])
    .where("refresh_tokens.hash", "=", hash)
    .executeTakeFirst();
  if (!token) return new PrismError("UNAUTHENTICATED", "The refresh token is not known");
  if (token.revokedAt !== null) return new PrismError("SESSION_REVOKED", "The session has ended; log in again");
  const usedBy = hashRefreshToken(ctx, `${client.ip}\n${client.userAgent}`);
  const isRepeated = token.usedAt !== null;
  if (isRepeated && !(usedBy === token.usedBy && (await voidUnusedReplacement(token, now, trx)))) {
    await endSessions(ctx, [token.id], token.userId, "reuse", trx);
    await recordChange(ctx, "auth.refresh_reused", "session", token.id, { userId: token.userId }, trx);
    return new PrismError("REFRESH_REUSED", "The refresh token was used before; the session has ended");
  }
  if (Math.min(token.expiresAt, token.sessionEnd) <= now)
    return new PrismError("TOKEN_EXPIRED", "The refresh token has expired");
  if (token.deletedAt !== null) return new PrismError("SESSION_REVOKED", "The session has ended; log in again");
  if (token.status !== "active") return accountError(token.status);
  // Its provider was taken out of the settings, which closes what it opened.
  if (token.via !== null && !providersOf(ctx.config).some(({ via }) => via === token.via)) {
    await endSessions(ctx, [token.id], token.userId, "provider", trx);
    return new PrismError("SESSION_REVOKED", "The session has ended; log in again");
  }
  const next = await issueRefreshToken(ctx, token.id, token.sessionEnd, now, trx);
  await trx
    .updateTable("refresh_tokens")
    .set({ usedAt: token.usedAt ?? now, usedBy, replacedBy: hashRefreshToken(ctx, next.refreshToken) })
    .where("hash", "=", hash)
    .execute();
  await trx
    .updateTable("sessions")
    // Keeps the name of the login: the user may have chosen it.
    .set({ lastUsedAt: now, ip: client.ip, ...(isRepeated ? { repeatedAt: now } : {}) })
    .where("id", "=", token.id)
    .execute();
  if (isRepeated) await recordChange(ctx, "auth.refresh_repeated", "session", token.id, { userId: token.userId }, trx);
  return { id: token.id, userId: token.userId, endsAt: token.sessionEnd, ...next };
}

/**
 * Voids the replacement of a token after a reload or another tab lost the answer with it. If it was
 * not lost, the owner's next refresh, with the voided token, ends the session.
 * @returns false when the replacement was used, or the first use is too long ago
 */
async function voidUnusedReplacement(
  { usedAt, replacedBy }: { readonly usedAt: number | null; readonly replacedBy: string | null },
  now: number,
  trx: Trx,
): Promise<boolean> {
  if (replacedBy === null || usedAt === null || now - usedAt > LOST_ANSWER_MS) return false;
  const { numUpdatedRows } = await trx
    .updateTable("refresh_tokens")
    .set({ usedAt: now })
    .where("hash", "=", replacedBy)
    .where("usedAt", "is", null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** The session of a refresh token, used or not; undefined for an unknown one. */
export async function sessionOfRefreshToken(
  ctx: SessionContext,
  refreshToken: string,
  db: ReadDb,
): Promise<{ id: string; userId: string; via: string | null } | undefined> {
  return db
    .selectFrom("refresh_tokens")
    .innerJoin("sessions", "sessions.id", "refresh_tokens.sessionId")
    .select(["sessions.id", "sessions.userId", "sessions.via"])
    .where("refresh_tokens.hash", "=", hashRefreshToken(ctx, refreshToken))
    .executeTakeFirst();
}

/** A user's sessions that can still be continued, last used first. */
export async function listSessions({ clock, config }: SessionContext, userId: string, db: ReadDb) {
  const now = clock.now();
  return (
    db
      .selectFrom("sessions")
      .select(["id", "ip", "userAgent", "createdAt", "lastUsedAt", "repeatedAt", "via"])
      .where("userId", "=", userId)
      .where("revokedAt", "is", null)
      .where("expiresAt", ">", now)
      // Excludes sessions whose refresh token has expired.
      .where("lastUsedAt", ">", now - config.auth.refreshExpires)
      .orderBy("lastUsedAt", "desc")
      .orderBy("id", "desc")
      .execute()
  );
}

/** Ends a session. @returns false when it had ended, or is not this user's. */
export async function revokeSession(
  ctx: SessionContext,
  id: string,
  userId: string,
  reason: RevokeReason,
  trx: Trx,
): Promise<boolean> {
  const session = await trx
    .selectFrom("sessions")
    .select("id")
    .where("id", "=", id)
    .where("userId", "=", userId)
    .where("revokedAt", "is", null)
    .executeTakeFirst();
  if (!session) return false;
  await endSessions(ctx, [id], userId, reason, trx);
  return true;
}

/** Ends the sessions of a user. @param except the session to keep. @param of only those that were opened so */
export async function revokeSessions(
  ctx: SessionContext,
  userId: string,
  reason: RevokeReason,
  trx: Trx,
  except: string | null = null,
  { via, sid }: Pick<Opening, "via" | "sid"> = {},
): Promise<number> {
  let sessions = trx.selectFrom("sessions").select("id").where("userId", "=", userId).where("revokedAt", "is", null);
  if (via !== undefined) sessions = sessions.where("via", "=", via);
  if (sid !== undefined) sessions = sessions.where("sid", "=", sid);
  const live = await sessions.execute();
  const ids = live.map(({ id }) => id).filter((id) => id !== except);
  await endSessions(ctx, ids, userId, reason, trx);
  return ids.length;
}

/** A script may have signed in thousands of times: two statements for all. */
async function endSessions(
  { clock }: SessionContext,
  ids: readonly string[],
  userId: string,
  reason: RevokeReason,
  trx: Trx,
): Promise<void> {
  const these = sql<string>`(select value from json_each(${JSON.stringify(ids)}))`;
  await trx
    .updateTable("sessions")
    .set({ revokedAt: clock.now(), revokeReason: reason })
    .where("id", "in", these)
    .execute();
  // A logged-out phone receives nothing.
  await trx.deleteFrom("push_devices").where("sessionId", "in", these).execute();
  for (const sessionId of ids) addEffect(trx, { type: "rights-changed", of: "session", sessionId, userId });
}

async function issueRefreshToken(
  ctx: SessionContext,
  sessionId: string,
  sessionEnd: number,
  now: number,
  trx: Trx,
): Promise<{ refreshToken: string; expiresAt: number }> {
  const refreshToken = `prr_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
  const expiresAt = Math.min(now + ctx.config.auth.refreshExpires, sessionEnd);
  await trx
    .insertInto("refresh_tokens")
    .values({ hash: hashRefreshToken(ctx, refreshToken), sessionId, issuedAt: now, expiresAt })
    .execute();
  return { refreshToken, expiresAt };
}

function hashRefreshToken(ctx: SessionContext, refreshToken: string): string {
  return createHmac("sha256", ctx.config.secrets.refresh).update(refreshToken).digest("hex");
}

/** Whether the user has logged in from this address or IPv6 network and used that session. */
export async function hasSessionFrom(userId: string, address: string, sinceAt: number, db: ReadDb): Promise<boolean> {
  const group = addressGroup(address);
  const found = await db
    .selectFrom("sessions")
    .select("id")
    .where("userId", "=", userId)
    .where("lastUsedAt", ">", sinceAt)
    // `;` follows `:`, so all addresses of the group are in this range.
    .where((e) => e.or([e("ip", "=", address), e.and([e("ip", ">", `${group}:`), e("ip", "<", `${group};`)])]))
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
