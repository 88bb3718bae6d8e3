import { createHmac, randomBytes } from "node:crypto";
import { hashToken, secretsEqual } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { type AccountContext, recordFailedLogin } from "../context.ts";

/** One of both, of a user. */
export interface FactorProof {
  /** Code of the authenticator app. */
  readonly code?: string | undefined;
  readonly recoveryCode?: string | undefined;
}

/** Where a guess comes from. */
interface Guesser {
  readonly ip: string;
}

export type FactorKind = "code" | "recovery code";

/** Shown to the user and to managers of users. */
export interface SecondFactorState {
  readonly enabled: boolean;
  /** RFC 3339. */
  readonly since: string | null;
  readonly recoveryCodesLeft: number;
}

export const NO_SECOND_FACTOR: SecondFactorState = { enabled: false, since: null, recoveryCodesLeft: 0 };

/**
 * Wrong codes in a row, after which only a recovery code counts: 100 guesses find one of the three
 * valid codes with a probability of 0.03 % (NIST SP 800-63B section 5.2.2).
 */
const MAX_FAILURES = 100;
const RECOVERY_CODES = 10;
/** 80 random bits need no slow hash. */
const RECOVERY_BYTES = 10;
/** Without letters that look like digits (Crockford's Base32). */
const RECOVERY_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Seal context of a secret. */
export function factorSealContext(userId: string): string {
  return `second_factors.secret.${userId}`;
}

/** The name that counts guesses of codes; no login name starts with a tab. */
export function factorKey(userId: string): string {
  return `\tfactor:${userId}`;
}

export async function hasSecondFactor(userId: string, db: ReadDb): Promise<boolean> {
  return (await secondFactorsOf([userId], db)).has(userId);
}

/** The users who have one. */
export async function secondFactorsOf(
  userIds: readonly string[],
  db: ReadDb,
): Promise<ReadonlyMap<string, SecondFactorState>> {
  const rows = await db
    .selectFrom("second_factors")
    .select(["userId", "enabledAt", "recoveryCodes"])
    .where("userId", "in", userIds)
    .where("enabledAt", "is not", null)
    .execute();
  return new Map(
    rows.map(({ userId, enabledAt, recoveryCodes }) => [
      userId,
      {
        enabled: true,
        since: toRfc3339OrNull(enabledAt),
        recoveryCodesLeft: (JSON.parse(recoveryCodes) as string[]).length,
      },
    ]),
  );
}

/** New recovery codes, shown once, and the stored hashes. */
export function createRecoveryCodes(): { readonly codes: readonly string[]; readonly hashes: string } {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    base32(randomBytes(RECOVERY_BYTES), RECOVERY_ALPHABET).replace(/....(?=.)/g, "$&-"),
  );
  return { codes, hashes: JSON.stringify(codes.map(hashRecoveryCode)) };
}

/**
 * Runs `work` in the transaction that accepts the proof. Guesses are slowed down like those of
 * passwords. @throws INVALID_CREDENTIALS, RATE_LIMITED, VALIDATION_FAILED without a proof, and
 * errors of `work`, which leave the proof unused
 */
export async function withFactor<T>(
  ctx: AccountContext,
  userId: string,
  proof: FactorProof,
  client: Guesser,
  work: (trx: Trx, by: FactorKind) => Promise<T>,
): Promise<T> {
  requireProof(proof);
  const accepted = await guessFactor(ctx, userId, client, async (trx) => {
    const by = await acceptProof(ctx, userId, proof, trx);
    return by && { value: await work(trx, by) };
  });
  return accepted.value;
}

/**
 * A guess at a code. @param check null for a wrong one; its transaction is committed too.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, and errors of `check`
 */
export async function guessFactor<T>(
  ctx: AccountContext,
  userId: string,
  client: Guesser,
  check: (trx: Trx) => Promise<T | null>,
): Promise<T> {
  const attempt = ctx.backoff.begin(factorKey(userId), client.ip);
  const accepted = await ctx.db.write(check).catch((error: unknown) => {
    attempt.withdrawn();
    throw error;
  });
  if (accepted !== null) {
    attempt.succeeded();
    return accepted;
  }
  await recordFailedLogin(ctx, userId, "second factor");
  const message = "The code is wrong, or was used before";
  throw new PrismError("INVALID_CREDENTIALS", message, { details: [{ path: "code", code: "VALUE", message }] });
}

/** Uses a proof up, or counts a failure. @returns null for a wrong one */
async function acceptProof(
  { box, clock }: AccountContext,
  userId: string,
  { code, recoveryCode }: FactorProof,
  trx: Trx,
): Promise<FactorKind | null> {
  const factor = await trx.selectFrom("second_factors").selectAll().where("userId", "=", userId).executeTakeFirst();
  if (!factor || factor.enabledAt === null) return null;
  const change = (values: { failures: number; lastStep?: number; recoveryCodes?: string }) =>
    trx.updateTable("second_factors").set(values).where("userId", "=", userId).execute();

  if (recoveryCode !== undefined) {
    const hashes = JSON.parse(factor.recoveryCodes) as string[];
    const left = hashes.filter((hash) => hash !== hashRecoveryCode(recoveryCode));
    if (left.length < hashes.length) {
      await change({ failures: 0, recoveryCodes: JSON.stringify(left) });
      addEffect(trx, { type: "answers-changed", of: "profile", userId });
      return "recovery code";
    }
  } else if (code !== undefined && factor.failures < MAX_FAILURES) {
    const secret = box.open(factorSealContext(userId), factor.secret);
    const step = stepOfCode(secret, plainCode(code), clock.now(), factor.lastStep);
    if (step !== undefined) {
      await change({ failures: 0, lastStep: step });
      return "code";
    }
  }
  await change({ failures: factor.failures + 1 });
  return null;
}

export async function clearFactorFailures(userId: string, trx: Trx): Promise<void> {
  await trx.updateTable("second_factors").set({ failures: 0 }).where("userId", "=", userId).execute();
}

/** People type codes with a space in the middle. */
export function plainCode(code: string): string {
  return code.replace(/\s/g, "");
}

function hashRecoveryCode(code: string): string {
  const plain = code.toLowerCase().replace(/[\s-]/g, "").replaceAll("o", "0").replace(/[il]/g, "1");
  return hashToken(plain);
}

function requireProof({ code, recoveryCode }: FactorProof): void {
  if ((code === undefined) !== (recoveryCode === undefined)) return;
  const message = "give code or recoveryCode";
  throw new PrismError("VALIDATION_FAILED", message, { details: [{ path: "code", code: "REQUIRED", message }] });
}

/*
 * Time-based one-time passwords (RFC 6238) with the parameters that every authenticator app knows:
 * SHA-1, 6 digits, 30 seconds.
 */

const STEP_MS = 30_000;
const DIGITS = 6;
/** A code of the step before or after counts: clocks differ, and typing takes time. */
const SKEW_STEPS = 1;
/** Length of a key for HMAC-SHA-1 (RFC 4226 section 4, R6). */
const SECRET_BYTES = 20;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function createTotpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** The code of a time step (RFC 4226 section 5.3). */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** DIGITS).padStart(DIGITS, "0");
}

/**
 * The time step that a code belongs to; undefined for a wrong one.
 * @param after the last step a code was accepted for: it and earlier ones are refused (RFC 6238
 * section 5.2). @param now epoch ms
 */
export function stepOfCode(secret: Uint8Array, code: string, now: number, after: number): number | undefined {
  const current = Math.floor(now / STEP_MS);
  let found: number | undefined;
  // All of them, so that the time does not show which one it was.
  for (let step = current - SKEW_STEPS; step <= current + SKEW_STEPS; step++)
    if (secretsEqual(totpCode(secret, step), code) && step > after) found ??= step;
  return found;
}

/** Base32 without padding (RFC 4648 section 6). */
export function base32(bytes: Uint8Array, alphabet = BASE32): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, "0"), 2)]).join("");
}

/** The URI that authenticator apps read from a QR code. */
export function totpUri(secret: Uint8Array, issuer: string, account: string): string {
  const [from, label] = [encodeURIComponent(issuer), encodeURIComponent(account)];
  const parameters = `secret=${base32(secret)}&issuer=${from}&algorithm=SHA1&digits=${DIGITS}&period=${STEP_MS / 1000}`;
  return `otpauth://totp/${from}:${label}?${parameters}`;
}
