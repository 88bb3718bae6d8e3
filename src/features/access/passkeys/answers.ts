import type { Trx } from "../../../store/database.ts";
import { type AccountContext, recordChange } from "../context.ts";
import type { PasskeyAnswer } from "./answer-schema.ts";
import { CHALLENGE_MS, createChallenge, isValidChallenge, requireRelyingParty, useChallenge } from "./relying-party.ts";
import { passkeysOf, type StoredPasskey } from "./stored.ts";

/** An answer with a right signature, whose challenge may have been used. */
export interface CheckedAnswer {
  readonly passkey: StoredPasskey;
  readonly challenge: string;
  readonly counter: number;
  readonly isBackedUp: boolean;
  readonly isUserVerified: boolean;
}

interface Expected {
  /** That of the challenge. */
  readonly purpose: string;
  /** Null: the passkey says whose it is. */
  readonly userId: string | null;
  /** The passkey stands for the password too: its authenticator must have verified the user. */
  readonly isAlone: boolean;
}

/**
 * Checks an answer (WebAuthn section 7.2): challenge, origin, host, flags and signature, outside of a transaction.
 * @returns null for a wrong one, whatever is wrong. @throws INVALID_STATE if there can be no passkeys
 */
export async function checkAnswer(
  ctx: AccountContext,
  answer: PasskeyAnswer,
  { purpose, userId, isAlone }: Expected,
): Promise<CheckedAnswer | null> {
  const { rpId, origins } = requireRelyingParty(ctx);
  const passkey = await ctx.db.read
    .selectFrom("passkeys")
    .selectAll()
    .where("credentialId", "=", answer.id)
    .executeTakeFirst();
  if (!passkey || passkey.rpId !== rpId || (userId !== null && passkey.userId !== userId)) return null;
  // A found security key without a PIN takes a new one of its finder: only a user who was verified beside a
  // password counts (WebAuthn section 7.2, step 24).
  if (isAlone && passkey.isUserVerified === 0) return null;
  const { userHandle } = answer.response;
  if (userHandle != null && userHandle !== userHandleOf(passkey.userId)) return null;
  const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
  let challenge = "";
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: {
      ...{ id: answer.id, rawId: answer.rawId, type: answer.type, clientExtensionResults: {} },
      response: {
        clientDataJSON: answer.response.clientDataJSON,
        authenticatorData: answer.response.authenticatorData,
        signature: answer.response.signature,
      },
    },
    expectedChallenge: (given) => {
      challenge = given;
      return isValidChallenge(ctx, given, purpose);
    },
    expectedOrigin: origins,
    expectedRPID: rpId,
    requireUserVerification: isAlone,
    // The library compares counters before signatures: a forged answer would look like a cloned passkey.
    credential: { id: passkey.credentialId, publicKey: new Uint8Array(passkey.publicKey), counter: 0 },
  }).catch(() => ({ verified: false, authenticationInfo: null }));
  if (!verified || !authenticationInfo) return null;
  const { newCounter, userVerified, credentialBackedUp } = authenticationInfo;
  return { passkey, challenge, counter: newCounter, isUserVerified: userVerified, isBackedUp: credentialBackedUp };
}

/**
 * Uses an answer up. A counter that did not grow is that of a copy, or of the original after its copy was used
 * (WebAuthn section 6.1.1): it is refused, and audited.
 * @returns false when it was used before, or the passkey was removed meanwhile or is a copy
 */
export async function acceptAnswer(ctx: AccountContext, checked: CheckedAnswer, trx: Trx): Promise<boolean> {
  const { id, userId } = checked.passkey;
  const now = await trx.selectFrom("passkeys").selectAll().where("id", "=", id).executeTakeFirst();
  if (!now || !(await useChallenge(ctx, checked.challenge, trx))) return false;
  if ((checked.counter > 0 || now.counter > 0) && checked.counter <= now.counter) {
    await recordChange(ctx, "user.passkey", "user", userId, { refused: id, reason: "counter" }, trx, userId);
    return false;
  }
  const values = {
    counter: checked.counter,
    isBackedUp: checked.isBackedUp ? 1 : 0,
    isUserVerified: checked.isUserVerified || now.isUserVerified === 1 ? 1 : 0,
    lastUsedAt: ctx.clock.now(),
  } as const;
  await trx.updateTable("passkeys").set(values).where("id", "=", id).execute();
  return true;
}

/** The name that authenticators keep of an account (WebAuthn section 5.4.3): nothing personal. */
export function userHandleOf(userId: string): string {
  return Buffer.from(userId).toString("base64url");
}

/**
 * The options of a browser's question for one of an account's passkeys, or for any that verifies its user.
 * @param purpose of the answer. @throws INVALID_STATE if there can be no passkeys
 */
export async function passkeyOptions(ctx: AccountContext, purpose: string, userId: string | null) {
  const { rpId } = requireRelyingParty(ctx);
  return {
    ...{ challenge: createChallenge(ctx, purpose), rpId, timeout: CHALLENGE_MS },
    userVerification: userId === null ? "required" : "preferred",
    allowCredentials: userId === null ? [] : await credentialsOf(ctx, userId, rpId),
  };
}

/** The credentials of an account at this host, as browsers read them. */
export async function credentialsOf({ db }: AccountContext, userId: string, rpId: string) {
  const own = (await passkeysOf(userId, db.read)).filter((each) => each.rpId === rpId);
  return own.map(({ credentialId: id, transports }) => ({
    ...{ id, type: "public-key", transports: JSON.parse(transports) as string[] },
  }));
}
