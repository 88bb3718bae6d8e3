import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { usersWith } from "../users/queries.ts";
import { createOneTimeToken, LINK_LIFE_MS } from "./mail-links.ts";

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
