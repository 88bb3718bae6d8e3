import { randomBytes } from "node:crypto";
import { hmac } from "../../../core/crypto/hmac.ts";
import { hashToken, secretsEqual } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { type AccountContext, recordFailedLogin } from "../context.ts";
import type { PasskeyAnswer } from "../passkeys/answer-schema.ts";
import { acceptAnswer, checkAnswer } from "../passkeys/answers.ts";

/** One of them, of a user. */
export interface FactorProof {
  /** Code of the authenticator app. */
  readonly code?: string | undefined;
  readonly recoveryCode?: string | undefined;
  readonly passkey?: PasskeyAnswer | undefined;
}

/** Where a guess comes from. */
interface Guesser {
  readonly ip: string;
}

export type FactorKind = "code" | "recovery code" | "passkey";

/** The member of a proof. */
export type FactorName = keyof FactorProof;

/** What the answer of a passkey must be for. */
interface Asked {
  /** Of its challenge. */
  readonly purpose: string;
  /** Without the password: its authenticator must have verified the user. */
  readonly isAlone: boolean;
}

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
  asked: Asked,
  work: (trx: Trx, by: FactorKind) => Promise<T>,
): Promise<T> {
  requireProof(proof);
  const { passkey } = proof;
  const answer = passkey === undefined ? null : await checkAnswer(ctx, passkey, { ...asked, userId });
  const accepted = await guessFactor(
    ctx,
    userId,
    client,
    passkey === undefined ? WRONG_CODE : WRONG_PASSKEY,
    async (trx) => {
      const isAccepted = answer !== null && (await acceptAnswer(ctx, answer, trx));
      const by = passkey === undefined ? await acceptCode(ctx, userId, proof, trx) : isAccepted ? "passkey" : null;
      return by && { value: await work(trx, by) };
    },
  );
  return accepted.value;
}

/** The answer to a wrong proof: member, and what is wrong. */
interface Refusal {
  readonly path: FactorName;
  readonly message: string;
}
export const WRONG_CODE: Refusal = { path: "code", message: "The code is wrong, or was used before" };
export const WRONG_PASSKEY: Refusal = {
  path: "passkey",
  message: "The passkey is not known here, its answer is wrong, or it took too long",
};

/** @property key counts the guesses. @property reason of the audit trail. */
interface Guess {
  readonly key: string;
  readonly client: Guesser;
  readonly userId: string | null;
  readonly reason: string;
  readonly wrong: Refusal;
}

/**
 * A guess at a code or a passkey. @param check null for a wrong one; its transaction is committed too.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, and errors of `check`
 */
export async function guess<T>(
  ctx: AccountContext,
  { key, client, userId, reason, wrong: { path, message } }: Guess,
  check: (trx: Trx) => Promise<T | null>,
): Promise<T> {
  const attempt = ctx.backoff.begin(key, client.ip);
  const accepted = await ctx.db.write(check).catch((error: unknown) => {
    attempt.withdrawn();
    throw error;
  });
  if (accepted !== null) {
    attempt.succeeded();
    return accepted;
  }
  await recordFailedLogin(ctx, userId, reason);
  throw new PrismError("INVALID_CREDENTIALS", message, { details: [{ path, code: "VALUE", message }] });
}

/** A {@link guess} at the second factor of a user. */
export function guessFactor<T>(
  ctx: AccountContext,
  userId: string,
  client: Guesser,
  wrong: Refusal,
  check: (trx: Trx) => Promise<T | null>,
): Promise<T> {
  return guess(ctx, { key: factorKey(userId), client, userId, reason: "second factor", wrong }, check);
}

/** Uses a code up, or counts a failure. @returns null for a wrong one */
async function acceptCode(
  { box, clock }: AccountContext,
  userId: string,
  { code, recoveryCode }: FactorProof,
  trx: Trx,
): Promise<FactorKind | null> {
  const factor = await trx.selectFrom("second_factors").selectAll().where("userId", "=", userId).executeTakeFirst();
  if (!factor) return null;
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
  } else if (
    code !== undefined &&
    factor.secret !== null &&
    factor.enabledAt !== null &&
    factor.failures < MAX_FAILURES
  ) {
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

function requireProof({ code, recoveryCode, passkey }: FactorProof): void {
  if ([code, recoveryCode, passkey].filter((each) => each !== undefined).length === 1) return;
  const message = "give one of code, recoveryCode and passkey";
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
  const mac = hmac("sha1", secret).update(counter).digest();
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
