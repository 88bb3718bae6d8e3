import { PrismError } from "../../../core/errors.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { type Granter, requireMayManage } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { deletePasskeys } from "../passkeys/stored.ts";
import { findUser, usersWith } from "../users/queries.ts";
import { hasSecondFactor, NO_SECOND_FACTOR, secondFactorsOf } from "./factor-state.ts";
import {
  base32,
  createRecoveryCodes,
  createTotpSecret,
  type FactorProof,
  factorSealContext,
  guessFactor,
  plainCode,
  stepOfCode,
  totpUri,
  WRONG_CODE,
  withFactor,
} from "./second-factor.ts";
import { type ClientInfo, revokeSessions } from "./sessions.ts";
import { type AccountOwner, requireRecentProof } from "./ways-in.ts";

/** That a caller is the owner of the account: see {@link withOwner}. */
export interface OwnerProof extends FactorProof {
  readonly password?: string | undefined;
}

/** Of challenges that prove the owner of an account. */
export function changePurpose(userId: string): string {
  return `change ${userId}`;
}

/**
 * Runs `work` in a transaction once the caller has proved to be the owner: by the password and the second factor, if
 * there is one. A session that was opened just now stands for the password of an account without one. A passkey with
 * user verification stands for both.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, VALIDATION_FAILED, OVERLOADED; INVALID_STATE for an older session
 */
export async function withOwner<T>(
  ctx: AccountContext,
  owner: AccountOwner,
  { password, ...proof }: OwnerProof,
  client: ClientInfo,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  const { userId } = owner;
  const hasFactor = await hasSecondFactor(userId, ctx.db.read);
  const isAlone = hasFactor && proof.passkey !== undefined && password === undefined;
  if (!isAlone) await requireRecentProof(ctx, owner, password, client, true);
  if (hasFactor)
    return withFactor(ctx, userId, proof, client, { purpose: changePurpose(userId), isAlone }, (trx) => work(trx));
  return ctx.db.write(async (trx) => {
    // Added while the password was checked.
    if (await hasSecondFactor(userId, trx))
      throw new PrismError("INVALID_STATE", "The account has a second factor now");
    return work(trx);
  });
}

/** A new secret of a user, which is pending until its first code. */
export interface PendingFactor {
  /** Base32, for typing. */
  readonly secret: string;
  /** `otpauth:`, for a QR code. */
  readonly uri: string;
}

/**
 * Replaces a pending secret. @throws as {@link withOwner}; INVALID_STATE with an authenticator app
 */
export async function startSecondFactor(
  ctx: AccountContext,
  owner: AccountOwner,
  proof: OwnerProof,
  client: ClientInfo,
): Promise<PendingFactor> {
  const { userId } = owner;
  const { db, box, clock } = ctx;
  const user = await findUser(db.read, userId);
  const secret = createTotpSecret();
  const values = { secret: box.seal(factorSealContext(userId), secret), createdAt: clock.now() };
  const alreadyThere = new PrismError("INVALID_STATE", "There is an authenticator app already; remove it first");
  if ((await stateOf(userId, db.read)).app) throw alreadyThere;
  await withOwner(ctx, owner, proof, client, async (trx) => {
    if ((await stateOf(userId, trx)).app) throw alreadyThere;
    await trx
      .insertInto("second_factors")
      .values({ userId, ...values })
      .onConflict((conflict) => conflict.column("userId").doUpdateSet(values))
      .execute();
  });
  const account = user.username ?? user.email ?? user.externalId ?? userId;
  return { secret: base32(secret), uri: totpUri(secret, issuerOf(ctx), account) };
}

async function stateOf(userId: string, db: ReadDb | Trx) {
  return (await secondFactorsOf([userId], db)).get(userId) ?? NO_SECOND_FACTOR;
}

/** Apps list accounts by issuer. */
function issuerOf({ config }: AccountContext): string {
  return config.publicUrl === undefined ? "Prism" : `Prism ${new URL(config.publicUrl).hostname}`;
}

/**
 * Enables the pending factor with its first code and ends the user's other sessions, which a
 * password alone has opened. @returns new recovery codes; none beside passkeys, with which they were given.
 * @throws INVALID_STATE without a pending factor, INVALID_CREDENTIALS, RATE_LIMITED
 */
export async function confirmSecondFactor(
  ctx: AccountContext,
  { userId, sessionId }: AccountOwner,
  code: string,
  client: ClientInfo,
): Promise<readonly string[]> {
  const { box, clock } = ctx;
  return guessFactor(ctx, userId, client, WRONG_CODE, async (trx) => {
    const row = trx.selectFrom("second_factors").selectAll().where("userId", "=", userId);
    const factor = await row.where("enabledAt", "is", null).executeTakeFirst();
    if (!factor || factor.secret === null)
      throw new PrismError("INVALID_STATE", "No second factor is pending; request one first");
    const now = clock.now();
    const secret = box.open(factorSealContext(userId), factor.secret);
    const step = stepOfCode(secret, plainCode(code), now, factor.lastStep);
    if (step === undefined) return null;
    const codes = await firstRecoveryCodes(ctx, userId, trx);
    const values = { enabledAt: now, lastStep: step, failures: 0 };
    await trx.updateTable("second_factors").set(values).where("userId", "=", userId).execute();
    await revokeSessions(ctx, userId, "second factor", trx, sessionId);
    await noteChange(ctx, userId, { enabled: true }, trx);
    return codes;
  });
}

/** The recovery codes of an account that gets its first factor; none where it has one. */
export async function firstRecoveryCodes(ctx: AccountContext, userId: string, trx: Trx): Promise<readonly string[]> {
  if (await hasSecondFactor(userId, trx)) return [];
  const { codes, hashes } = createRecoveryCodes();
  await trx
    .insertInto("second_factors")
    .values({ userId, secret: null, recoveryCodes: hashes, enabledAt: null, createdAt: ctx.clock.now() })
    .onConflict((conflict) => conflict.column("userId").doUpdateSet({ recoveryCodes: hashes }))
    .execute();
  return codes;
}

/** Replaces the recovery codes. @throws as {@link withOwner}; INVALID_STATE without a second factor */
export async function renewRecoveryCodes(
  ctx: AccountContext,
  owner: AccountOwner,
  proof: OwnerProof,
  client: ClientInfo,
): Promise<readonly string[]> {
  const { userId } = owner;
  if (!(await hasSecondFactor(userId, ctx.db.read))) throw noFactor();
  return withOwner(ctx, owner, proof, client, async (trx) => {
    const { codes, hashes } = createRecoveryCodes();
    await trx.updateTable("second_factors").set({ recoveryCodes: hashes }).where("userId", "=", userId).execute();
    await noteChange(ctx, userId, { recoveryCodes: "renewed" }, trx);
    return codes;
  });
}

/**
 * Removes the authenticator app. Passkeys stay, and with them the recovery codes.
 * @throws as {@link withOwner}; INVALID_STATE without an app
 */
export async function removeSecondFactor(
  ctx: AccountContext,
  owner: AccountOwner,
  proof: OwnerProof,
  client: ClientInfo,
): Promise<void> {
  const { userId } = owner;
  if (!(await stateOf(userId, ctx.db.read)).app) throw noFactor();
  await withOwner(ctx, owner, proof, client, async (trx) => {
    const values = { secret: null, enabledAt: null, lastStep: 0, failures: 0 };
    await trx.updateTable("second_factors").set(values).where("userId", "=", userId).execute();
    const enabled = !(await dropUnusedCodes(userId, trx));
    await noteChange(ctx, userId, { enabled, ...(enabled ? { removed: "authenticator app" } : {}) }, trx);
  });
}

/** Ends the recovery codes of an account without a second factor. @returns whether it has none */
export async function dropUnusedCodes(userId: string, trx: Trx): Promise<boolean> {
  if (await hasSecondFactor(userId, trx)) return false;
  await trx.deleteFrom("second_factors").where("userId", "=", userId).execute();
  return true;
}

/**
 * Removes another user's factors, authenticator app, recovery codes and all passkeys, as after the loss of a device:
 * the next login asks for the password only. @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION; INVALID_STATE without one, and for the
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
  const passkeys = await deletePasskeys(userId, trx);
  await noteChange(ctx, userId, { enabled: false, ...(passkeys > 0 ? { passkeys } : {}) }, trx);
}

async function noteChange(
  ctx: AccountContext,
  userId: string,
  metadata: Readonly<Record<string, string | boolean | number>>,
  trx: Trx,
): Promise<void> {
  await recordChange(ctx, "user.second_factor", "user", userId, metadata, trx);
  addEffect(trx, { type: "answers-changed", of: "profile", userId });
}

function noFactor(): PrismError {
  return new PrismError("INVALID_STATE", "The account has no second factor");
}
