import { PrismError } from "../../../core/errors.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { type Granter, requireMayManage } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { findUser, usersWith } from "../users/queries.ts";
import { requirePassword } from "./login.ts";
import {
  base32,
  createRecoveryCodes,
  createTotpSecret,
  type FactorProof,
  factorSealContext,
  guessFactor,
  hasSecondFactor,
  plainCode,
  stepOfCode,
  totpUri,
  withFactor,
} from "./second-factor.ts";
import { type ClientInfo, revokeSessions } from "./sessions.ts";

/** The caller: a user in a session. */
interface Owner {
  readonly userId: string;
  readonly sessionId: string | null;
}

/** A new secret of a user, which is pending until its first code. */
export interface PendingFactor {
  /** Base32, for typing. */
  readonly secret: string;
  /** `otpauth:`, for a QR code. */
  readonly uri: string;
}

/**
 * Replaces a pending secret. @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED; INVALID_STATE
 * with a second factor, or without a password
 */
export async function startSecondFactor(
  ctx: AccountContext,
  userId: string,
  password: string,
  client: ClientInfo,
): Promise<PendingFactor> {
  const { db, box, clock } = ctx;
  const user = await findUser(db.read, userId);
  if (user.passwordHash === null)
    throw new PrismError("INVALID_STATE", "The account has no password; a second factor needs one (prism user passwd)");
  await requirePassword(ctx, userId, password, client);
  const secret = createTotpSecret();
  const values = { secret: box.seal(factorSealContext(userId), secret), createdAt: clock.now() };
  await db.write(async (trx) => {
    if (await hasSecondFactor(userId, trx)) throw new PrismError("INVALID_STATE", "There is a second factor already");
    await trx
      .insertInto("second_factors")
      .values({ userId, ...values })
      .onConflict((conflict) => conflict.column("userId").doUpdateSet(values))
      .execute();
  });
  const account = user.username ?? user.email ?? user.externalId ?? userId;
  return { secret: base32(secret), uri: totpUri(secret, issuerOf(ctx), account) };
}

/** Apps list accounts by issuer. */
function issuerOf({ config }: AccountContext): string {
  return config.publicUrl === undefined ? "Prism" : `Prism ${new URL(config.publicUrl).hostname}`;
}

/**
 * Enables the pending factor with its first code and ends the user's other sessions, which a
 * password alone has opened. @returns the recovery codes. @throws INVALID_STATE without a pending
 * factor, INVALID_CREDENTIALS, RATE_LIMITED
 */
export async function confirmSecondFactor(
  ctx: AccountContext,
  { userId, sessionId }: Owner,
  code: string,
  client: ClientInfo,
): Promise<readonly string[]> {
  const { box, clock } = ctx;
  return guessFactor(ctx, userId, client, async (trx) => {
    const row = trx.selectFrom("second_factors").selectAll().where("userId", "=", userId);
    const factor = await row.where("enabledAt", "is", null).executeTakeFirst();
    if (!factor) throw new PrismError("INVALID_STATE", "No second factor is pending; request one first");
    const now = clock.now();
    const secret = box.open(factorSealContext(userId), factor.secret);
    const step = stepOfCode(secret, plainCode(code), now, factor.lastStep);
    if (step === undefined) return null;
    const { codes, hashes } = createRecoveryCodes();
    const values = { enabledAt: now, lastStep: step, recoveryCodes: hashes, failures: 0 };
    await trx.updateTable("second_factors").set(values).where("userId", "=", userId).execute();
    await revokeSessions(ctx, userId, "second factor", trx, sessionId);
    await noteChange(ctx, userId, { enabled: true }, trx);
    return codes;
  });
}

/** Replaces the recovery codes. @throws as {@link removeSecondFactor} */
export async function renewRecoveryCodes(
  ctx: AccountContext,
  userId: string,
  { password, ...proof }: FactorProof & { readonly password: string },
  client: ClientInfo,
): Promise<readonly string[]> {
  await requireFactor(ctx, userId);
  await requirePassword(ctx, userId, password, client);
  return withFactor(ctx, userId, proof, client, async (trx) => {
    const { codes, hashes } = createRecoveryCodes();
    await trx.updateTable("second_factors").set({ recoveryCodes: hashes }).where("userId", "=", userId).execute();
    await noteChange(ctx, userId, { recoveryCodes: "renewed" }, trx);
    return codes;
  });
}

/**
 * @throws INVALID_STATE without a second factor; INVALID_CREDENTIALS, RATE_LIMITED,
 * VALIDATION_FAILED, OVERLOADED
 */
export async function removeSecondFactor(
  ctx: AccountContext,
  userId: string,
  { password, ...proof }: FactorProof & { readonly password: string },
  client: ClientInfo,
): Promise<void> {
  await requireFactor(ctx, userId);
  await requirePassword(ctx, userId, password, client);
  await withFactor(ctx, userId, proof, client, (trx) => deleteFactor(ctx, userId, trx));
}

/**
 * Removes another user's factor, as after the loss of a device: the next login asks for the password
 * only. @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION; INVALID_STATE without one, and for the
 * caller's own, which needs its proof
 */
export async function resetSecondFactor(ctx: AccountContext, userId: string, granter: Granter): Promise<void> {
  if (granter.userId === userId)
    throw new PrismError("INVALID_STATE", "Remove your own second factor with DELETE /api/v1/users/me/second-factor");
  await ctx.db.write(async (trx) => {
    const user = await usersWith(trx, "id", userId).select("id").executeTakeFirst();
    if (!user) throw new PrismError("USER_NOT_FOUND", "No such user");
    await requireMayManage(userId, granter, trx);
    if (!(await hasSecondFactor(userId, trx))) throw noFactor();
    await deleteFactor(ctx, userId, trx);
  });
}

async function deleteFactor(ctx: AccountContext, userId: string, trx: Trx): Promise<void> {
  await trx.deleteFrom("second_factors").where("userId", "=", userId).execute();
  await noteChange(ctx, userId, { enabled: false }, trx);
}

async function noteChange(
  ctx: AccountContext,
  userId: string,
  metadata: Readonly<Record<string, string | boolean>>,
  trx: Trx,
): Promise<void> {
  await recordChange(ctx, "user.second_factor", "user", userId, metadata, trx);
  addEffect(trx, { type: "answers-changed", of: "profile", userId });
}

async function requireFactor({ db }: AccountContext, userId: string): Promise<void> {
  if (!(await hasSecondFactor(userId, db.read))) throw noFactor();
}

function noFactor(): PrismError {
  return new PrismError("INVALID_STATE", "The account has no second factor");
}
