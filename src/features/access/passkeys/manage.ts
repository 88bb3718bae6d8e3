import { invalidField, limitReached, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { accountError } from "../authenticate/principals.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { dropUnusedCodes, firstRecoveryCodes, type OwnerProof, withOwner } from "../sessions/enrol-second-factor.ts";
import { localLogin, requireLocalLogin } from "../sessions/local-login.ts";
import { type Login, loginOf, startLogin } from "../sessions/login.ts";
import { guess, WRONG_PASSKEY } from "../sessions/second-factor.ts";
import { type ClientInfo, revokeSessions } from "../sessions/sessions.ts";
import { type AccountOwner, keepingWayIn } from "../sessions/ways-in.ts";
import { findUser, usersWith } from "../users/queries.ts";
import type { PasskeyAnswer, PasskeyRegistration } from "./answer-schema.ts";
import { acceptAnswer, checkAnswer, credentialsOf, passkeyOptions, passkeysOf, userHandleOf } from "./answers.ts";
import {
  CHALLENGE_MS,
  createChallenge,
  isValidChallenge,
  relyingPartyOf,
  requireRelyingParty,
  useChallenge,
} from "./relying-party.ts";

export const MAX_PASSKEYS = 20;
/** EdDSA, ES256 and RS256 (RFC 9053): each authenticator has one of them. */
const ALGORITHMS = [-8, -7, -257] as const;
const SIGN_IN = "sign in";

const registerPurpose = (userId: string): string => `register ${userId}`;

/**
 * The options of a browser's question for a new passkey; the owner of the account is proved before.
 * @throws as `withOwner`; INVALID_STATE if there can be no passkeys; LIMIT_REACHED
 */
export async function beginPasskey(ctx: AccountContext, owner: AccountOwner, proof: OwnerProof, client: ClientInfo) {
  const { userId } = owner;
  const { rpId } = requireRelyingParty(ctx);
  await withOwner(ctx, owner, proof, client, (trx) => requireRoom(userId, trx));
  const user = await findUser(ctx.db.read, userId);
  const name = user.username ?? user.email ?? user.externalId ?? userId;
  return {
    ...{ challenge: createChallenge(ctx, registerPurpose(userId)), timeout: CHALLENGE_MS, attestation: "none" },
    rp: { id: rpId, name: "Prism" },
    user: { id: userHandleOf(userId), name, displayName: user.name || name },
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
    authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
    excludeCredentials: await credentialsOf(ctx, userId, rpId),
  };
}

/**
 * Stores a new passkey, which is a second factor from now on, and ends the user's other sessions (WebAuthn section
 * 7.1). @returns its id, and the recovery codes if it is the first second factor.
 * @throws VALIDATION_FAILED for a wrong answer; INVALID_STATE for a known passkey; LIMIT_REACHED
 */
export async function finishPasskey(
  ctx: AccountContext,
  { userId, sessionId }: AccountOwner,
  { name: given, passkey: answer }: { readonly name?: string | undefined; readonly passkey: PasskeyRegistration },
): Promise<{ readonly id: string; readonly recoveryCodes: readonly string[] }> {
  const { rpId, origins } = requireRelyingParty(ctx);
  if (!(await isWithoutCertificate(answer.response.attestationObject))) throw notAccepted();
  const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
  let challenge = "";
  const checked = await verifyRegistrationResponse({
    response: {
      ...{ id: answer.id, rawId: answer.rawId, type: answer.type, clientExtensionResults: {} },
      response: {
        clientDataJSON: answer.response.clientDataJSON,
        attestationObject: answer.response.attestationObject,
      },
    },
    expectedChallenge: (found) => {
      challenge = found;
      return isValidChallenge(ctx, found, registerPurpose(userId));
    },
    expectedOrigin: origins,
    expectedRPID: rpId,
    requireUserVerification: false,
    supportedAlgorithmIDs: [...ALGORITHMS],
  }).catch(() => ({ verified: false as const }));
  if (!checked.verified) throw notAccepted();
  const { credential, userVerified, credentialBackedUp } = checked.registrationInfo;
  return ctx.db.write(async (trx) => {
    if (!(await useChallenge(ctx, challenge, trx))) throw notAccepted();
    await requireRoom(userId, trx);
    const known = trx.selectFrom("passkeys").select("id").where("credentialId", "=", credential.id);
    if (await known.executeTakeFirst()) throw new PrismError("INVALID_STATE", "The passkey is known already");
    const recoveryCodes = await firstRecoveryCodes(ctx, userId, trx);
    const id = uuidv7();
    await trx
      .insertInto("passkeys")
      .values({
        ...{ id, userId, rpId, credentialId: credential.id, publicKey: Buffer.from(credential.publicKey) },
        ...{ counter: credential.counter, transports: JSON.stringify(answer.response.transports ?? []) },
        ...{ isBackedUp: credentialBackedUp ? 1 : 0, isUserVerified: userVerified ? 1 : 0 },
        ...{ name: given || (await freeName(userId, trx)), createdAt: ctx.clock.now(), lastUsedAt: null },
      })
      .execute();
    await revokeSessions(ctx, userId, "second factor", trx, sessionId);
    await noteChange(ctx, userId, { added: id }, trx);
    return { id, recoveryCodes };
  });
}

/** @throws PASSKEY_NOT_FOUND */
export async function renamePasskey(ctx: AccountContext, userId: string, id: string, name: string): Promise<void> {
  await ctx.db.write(async (trx) => {
    await requirePasskey(userId, id, trx);
    await trx.updateTable("passkeys").set({ name }).where("id", "=", id).execute();
    await noteChange(ctx, userId, { renamed: id }, trx);
  });
}

/** Removes a passkey of the caller's and ends the other sessions. @throws PASSKEY_NOT_FOUND, and as `withOwner` and `keepingWayIn` */
export async function removePasskey(
  ctx: AccountContext,
  owner: AccountOwner,
  id: string,
  proof: OwnerProof,
  client: ClientInfo,
): Promise<void> {
  const { userId } = owner;
  await requirePasskey(userId, id, ctx.db.read);
  await withOwner(ctx, owner, proof, client, async (trx) => {
    await keepingWayIn(ctx, userId, trx, () => dropPasskey(ctx, userId, id, trx));
    await revokeSessions(ctx, userId, "second factor", trx, owner.sessionId);
  });
}

/** Without a proof, for the operator. The recovery codes go with the last factor. @throws PASSKEY_NOT_FOUND */
export async function dropPasskey(ctx: AccountContext, userId: string, id: string, trx: Trx): Promise<void> {
  await requirePasskey(userId, id, trx);
  await trx.deleteFrom("passkeys").where("id", "=", id).execute();
  await dropUnusedCodes(userId, trx);
  await noteChange(ctx, userId, { removed: id }, trx);
}

/*
 * Signing in without a password. The passkey names its account, and its authenticator verifies the user: by
 * itself it is two factors.
 */

/** Whether a sign-in page should ask for a passkey: they may be used, and someone has one. */
export async function offersSignIn(ctx: AccountContext): Promise<boolean> {
  const { rpId, reason } = relyingPartyOf(ctx.config);
  if (reason !== null || (await localLogin(ctx.config, ctx.db.read)) === "off") return false;
  const found = ctx.db.read.selectFrom("passkeys").select("id").where("rpId", "=", rpId).limit(1);
  return (await found.executeTakeFirst()) !== undefined;
}

/** @throws INVALID_STATE with the reason if there can be no passkeys; LOCAL_LOGIN_OFF */
export async function signInOptions(ctx: AccountContext) {
  requireRelyingParty(ctx);
  await requireLocalLogin(ctx, ctx.db.read);
  return passkeyOptions(ctx, SIGN_IN, null);
}

/**
 * Opens a session without a password and without a second step. An unknown passkey and a wrong answer give the same
 * error. @throws INVALID_CREDENTIALS, RATE_LIMITED, INVALID_STATE; LOCAL_LOGIN_OFF, ACCOUNT_PENDING,
 * ACCOUNT_DISABLED, ACCOUNT_UNVERIFIED
 */
export async function signInByPasskey(
  ctx: AccountContext,
  answer: PasskeyAnswer,
  key: string,
  client: ClientInfo,
): Promise<Login> {
  requireRelyingParty(ctx);
  const checked = await checkAnswer(ctx, answer, { purpose: SIGN_IN, userId: null, isAlone: true });
  const userId = checked?.passkey.userId ?? null;
  const guesser = { key, client, userId, reason: "passkey", wrong: WRONG_PASSKEY };
  const session = await guess(ctx, guesser, async (trx) => {
    if (checked === null || userId === null || !(await acceptAnswer(ctx, checked, trx))) return null;
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    if (account?.status !== "active") throw accountError(account?.status ?? "disabled");
    await requireLocalLogin(ctx, trx, userId);
    return startLogin(ctx, userId, client, trx, { by: "passkey" });
  });
  return loginOf(ctx, session);
}

async function requirePasskey(userId: string, id: string, db: AccountContext["db"]["read"] | Trx): Promise<void> {
  const found = db.selectFrom("passkeys").select("id").where("id", "=", id).where("userId", "=", userId);
  if (!(await found.executeTakeFirst())) throw new PrismError("PASSKEY_NOT_FOUND", "No such passkey");
}

async function requireRoom(userId: string, trx: Trx): Promise<void> {
  if ((await passkeysOf(userId, trx)).length >= MAX_PASSKEYS)
    throw limitReached(`The account has ${MAX_PASSKEYS} passkeys`, null, MAX_PASSKEYS);
}

/** The first of `Passkey 1`, `Passkey 2` and so on that is not used. */
async function freeName(userId: string, trx: Trx): Promise<string> {
  const used = new Set((await passkeysOf(userId, trx)).map(({ name }) => name));
  let number = 1;
  while (used.has(`Passkey ${number}`)) number++;
  return `Passkey ${number}`;
}

async function noteChange(
  ctx: AccountContext,
  userId: string,
  metadata: Readonly<Record<string, string>>,
  trx: Trx,
): Promise<void> {
  await recordChange(ctx, "user.passkey", "user", userId, metadata, trx);
  addEffect(trx, { type: "answers-changed", of: "profile", userId });
}

/**
 * Attestation is not asked for, so that browsers remove it (WebAuthn section 5.1.3). A certificate in one could name
 * addresses that the library asks for revoked ones.
 */
async function isWithoutCertificate(attestationObject: string): Promise<boolean> {
  const { decodeAttestationObject } = await import("@simplewebauthn/server/helpers");
  try {
    const decoded = decodeAttestationObject(new Uint8Array(Buffer.from(attestationObject, "base64url")));
    const format = decoded.get("fmt");
    return format === "none" || (format === "packed" && decoded.get("attStmt").get("x5c") === undefined);
  } catch {
    return false;
  }
}

function notAccepted(): PrismError {
  return invalidField("body", "passkey", "is not the answer to the last question for a new passkey; begin again");
}
