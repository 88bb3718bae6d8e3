import { invalidField, PrismError } from "../../../core/errors.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { AccountContext } from "../context.ts";
import { relyingPartyOf } from "../passkeys/relying-party.ts";
import { findUser } from "../users/queries.ts";
import { providersOf, requireLocalLogin } from "./local-login.ts";
import { requirePassword } from "./login.ts";
import type { ClientInfo } from "./sessions.ts";

/** The caller: a user in a session. */
export interface AccountOwner {
  readonly userId: string;
  readonly sessionId: string | null;
}

/** A session that was opened so long ago proves nothing new. */
const FRESH_MS = 10 * MINUTE_MS;

/**
 * A change of the ways in needs the password, or a session that was opened just now.
 * @param always asks for the password of an account that has one
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED; VALIDATION_FAILED without a proof, and INVALID_STATE if the
 * account has no password
 */
export async function requireRecentProof(
  ctx: AccountContext,
  { userId, sessionId }: AccountOwner,
  password: string | undefined,
  client: ClientInfo,
  always = false,
): Promise<void> {
  if (password !== undefined) return requirePassword(ctx, userId, password, client);
  const hasPassword = (await findUser(ctx.db.read, userId)).passwordHash !== null;
  const session = ctx.db.read
    .selectFrom("sessions")
    .select("createdAt")
    .where("id", "=", sessionId ?? "");
  const { createdAt = 0 } = (await session.executeTakeFirst()) ?? {};
  const isFresh = ctx.clock.now() - createdAt <= FRESH_MS;
  if (isFresh && !(always && hasPassword)) return;
  if (!hasPassword)
    throw new PrismError(
      "INVALID_STATE",
      "Sign in again first: an account without a password is changed within ten minutes of signing in",
    );
  const unless = always ? "" : ", unless you have signed in within ten minutes";
  throw invalidField("body", "password", `is required${unless}`, "REQUIRED");
}

/**
 * Runs `work`, which removes a way in of an account.
 * @throws INVALID_STATE if none is left, and errors of `work`
 */
export async function keepingWayIn<T>(
  ctx: AccountContext,
  userId: string,
  trx: Trx,
  work: () => Promise<T>,
): Promise<T> {
  const had = await hasWayIn(ctx, userId, trx);
  const result = await work();
  if (had && !(await hasWayIn(ctx, userId, trx)))
    throw new PrismError(
      "INVALID_STATE",
      "It is the only way into your account; add a passkey, link an account of a provider or choose a password first",
    );
  return result;
}

/** An account of a provider, or a password or a passkey where they sign in. */
async function hasWayIn(ctx: AccountContext, userId: string, trx: Trx): Promise<boolean> {
  const issuers = providersOf(ctx.config).map(({ issuer }) => issuer);
  const linked = trx.selectFrom("identities").select("id").where("userId", "=", userId).where("issuer", "in", issuers);
  if (await linked.executeTakeFirst()) return true;
  const isLocal = await requireLocalLogin(ctx, trx, userId).then(
    () => true,
    () => false,
  );
  if (!isLocal) return false;
  if ((await findUser(trx, userId)).passwordHash !== null) return true;
  const passkey = trx
    .selectFrom("passkeys")
    .select("id")
    .where("userId", "=", userId)
    .where("rpId", "=", relyingPartyOf(ctx.config).rpId)
    .where("isUserVerified", "=", 1);
  return (await passkey.executeTakeFirst()) !== undefined;
}
