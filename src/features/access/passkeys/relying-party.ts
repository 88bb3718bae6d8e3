import { randomBytes, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import type { Config } from "../../../config/load.ts";
import { ownOrigins } from "../../../config/public-url.ts";
import { hmac } from "../../../core/crypto/hmac.ts";
import { PrismError } from "../../../core/errors.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { AccountContext } from "../context.ts";

export const CHALLENGE_MS = 5 * MINUTE_MS;
const TIME_BYTES = 6;
const RANDOM_BYTES = 18;
const KEY_USE = "passkey challenges";

/** The host that passkeys belong to (WebAuthn section 5.1.2), or why there can be none. */
type RelyingParty = { readonly rpId: string; readonly reason: null } | { readonly rpId: null; readonly reason: string };

/** The same on all nodes: the host of `publicUrl`. Browsers have passkeys on HTTPS and on this machine only. */
export function relyingPartyOf({ publicUrl }: Pick<Config, "publicUrl">): RelyingParty {
  if (publicUrl === undefined) return { rpId: "localhost", reason: null };
  const { hostname, protocol } = new URL(publicUrl);
  if (isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0)
    return { rpId: null, reason: "Passkeys need a host name, and publicUrl has an IP address" };
  if (protocol !== "https:" && !/(^|\.)localhost$/.test(hostname))
    return { rpId: null, reason: "Passkeys need HTTPS, and publicUrl begins with http" };
  return { rpId: hostname, reason: null };
}

/** The host, and the origins of its own pages. @throws INVALID_STATE with the reason if there can be no passkeys */
export function requireRelyingParty(ctx: AccountContext): { readonly rpId: string; readonly origins: string[] } {
  const { rpId, reason } = relyingPartyOf(ctx.config);
  if (rpId === null) throw new PrismError("INVALID_STATE", reason);
  return { rpId, origins: ownOrigins(ctx.config, Number(new URL(ctx.publicUrl()).port)) };
}

/*
 * Challenges (WebAuthn section 13.4.3) are not stored before they are answered, so that strangers cannot
 * fill a table: the time of their end, random bytes, and a MAC over both and over what they are for.
 */

/** @param purpose what the answer may be used for, such as `register <user>` */
export function createChallenge({ box, clock }: AccountContext, purpose: string): string {
  const end = Buffer.alloc(TIME_BYTES);
  end.writeUIntBE(clock.now() + CHALLENGE_MS, 0, TIME_BYTES);
  const open = Buffer.concat([end, randomBytes(RANDOM_BYTES)]);
  const [key = Buffer.alloc(0)] = box.derived(KEY_USE);
  return Buffer.concat([open, macOf(key, open, purpose)]).toString("base64url");
}

/** Whether a challenge was made for this purpose and has not expired. It may have been used. */
export function isValidChallenge({ box, clock }: AccountContext, challenge: string, purpose: string): boolean {
  const bytes = Buffer.from(challenge, "base64url");
  const open = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
  const mac = bytes.subarray(open.length);
  const isOwn = box.derived(KEY_USE).some((key) => {
    const expected = macOf(key, open, purpose);
    return mac.length === expected.length && timingSafeEqual(mac, expected);
  });
  return isOwn && endOf(challenge) > clock.now();
}

/** Uses a valid challenge up. @returns false when it was used before */
export async function useChallenge({ clock }: AccountContext, challenge: string, trx: Trx): Promise<boolean> {
  await trx.deleteFrom("used_challenges").where("expiresAt", "<=", clock.now()).execute();
  // One text for each challenge, however it was written.
  const plain = Buffer.from(challenge, "base64url").toString("base64url");
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto("used_challenges")
    .values({ expiresAt: endOf(challenge), challenge: plain })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}

function endOf(challenge: string): number {
  const bytes = Buffer.from(challenge, "base64url");
  return bytes.length < TIME_BYTES ? 0 : bytes.readUIntBE(0, TIME_BYTES);
}

function macOf(key: Uint8Array, open: Uint8Array, purpose: string): Buffer {
  return hmac("sha256", key).update(open).update(purpose).digest();
}
