import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { accountError } from "../authenticate/principals.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { usersWith } from "../users/queries.ts";
import { type FirstStep, firstStepOf, type Login, loginOf, openOrChallenge, startLogin } from "./login.ts";
import {
  consumeChallenge,
  consumeOneTimeToken,
  createOneTimeToken,
  LINK_LIFE_MS,
  ownerOfOneTimeToken,
} from "./mail-links.ts";
import { type FactorProof, withFactor } from "./second-factor.ts";
import type { ClientInfo } from "./sessions.ts";

/** A link that signs one account in, once. */
export interface SignInLink {
  readonly url: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/**
 * For the operator, who hands it over: possession of the link is the proof that a password would
 * be. Earlier links of the account end. @throws USER_NOT_FOUND, INVALID_STATE
 */
export async function createSignInLink(ctx: AccountContext, userId: string): Promise<SignInLink> {
  const { db, clock } = ctx;
  const token = await db.write(async (trx) => {
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    if (!account) throw new PrismError("USER_NOT_FOUND", "No such user");
    if (account.status !== "active") throw new PrismError("INVALID_STATE", `The account is ${account.status}`);
    await recordChange(ctx, "user.sign_in_link", "user", userId, {}, trx);
    return createOneTimeToken(clock, userId, "sign_in", trx);
  });
  // In the fragment, so that it reaches no server log.
  return {
    url: `${ctx.publicUrl()}/dashboard/sign-in-link#token=${token}`,
    expiresAt: toRfc3339(clock.now() + LINK_LIFE_MS.sign_in),
  };
}

/**
 * An account with a second factor still has to prove it: a link may be seen by others, and the
 * operator can remove a lost factor. @throws LINK_EXPIRED; ACCOUNT_PENDING,
 * ACCOUNT_DISABLED, ACCOUNT_UNVERIFIED
 */
export async function signInByLink(ctx: AccountContext, token: string, client: ClientInfo): Promise<FirstStep> {
  const opened = await ctx.db.write(async (trx) => {
    const userId = await consumeOneTimeToken(ctx.clock, token, "sign_in", trx);
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    if (account?.status !== "active") throw accountError(account?.status ?? "disabled");
    return openOrChallenge(ctx, userId, client, trx, { by: "sign-in link" });
  });
  return firstStepOf(ctx, opened);
}

/** The user of a challenge; undefined for one that is unknown, used or expired. */
export function challengedUser({ clock, db }: AccountContext, challenge: string): Promise<string | undefined> {
  return ownerOfOneTimeToken(clock, challenge, "second_factor", db.read).catch((error: unknown) => {
    if (error instanceof PrismError && error.code === "LINK_EXPIRED") return undefined;
    throw error;
  });
}

/** Of challenges for the passkey of a second step: it counts for this login only. */
export function loginPurpose(challenge: string): string {
  return `login ${challenge}`;
}

/**
 * The second step of a login. @throws INVALID_CREDENTIALS, RATE_LIMITED, VALIDATION_FAILED,
 * LINK_EXPIRED (the challenge); ACCOUNT_PENDING, ACCOUNT_DISABLED, ACCOUNT_UNVERIFIED
 */
export async function proveSecondFactor(
  ctx: AccountContext,
  userId: string,
  { challenge, ...proof }: FactorProof & { readonly challenge: string },
  client: ClientInfo,
): Promise<Login> {
  const asked = { purpose: loginPurpose(challenge), isAlone: false };
  const session = await withFactor(ctx, userId, proof, client, asked, async (trx, by) => {
    const { opening } = await consumeChallenge(ctx.clock, challenge, trx);
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    if (account?.status !== "active") throw accountError(account?.status ?? "disabled");
    return startLogin(ctx, userId, client, trx, { secondFactor: by }, opening);
  });
  return loginOf(ctx, session);
}
