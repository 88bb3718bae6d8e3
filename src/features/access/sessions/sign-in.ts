import { PrismError } from "../../../core/errors.ts";
import { accountError } from "../authenticate/principals.ts";
import type { AccountContext } from "../context.ts";
import { usersWith } from "../users/queries.ts";
import { type FirstStep, firstStepOf, type Login, loginOf, openOrChallenge, startLogin } from "./login.ts";
import { consumeChallenge, consumeOneTimeToken, ownerOfOneTimeToken } from "./mail-links.ts";
import { type FactorProof, withFactor } from "./second-factor.ts";
import type { ClientInfo } from "./sessions.ts";

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
