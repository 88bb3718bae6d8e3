import * as v from "valibot";
import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { type Authenticator, fromSecret, MAX_SECRET_LENGTH } from "../../http/credentials.ts";
import type { LiveSocket } from "../live-socket.ts";

/** A token in a message of a client. */
export const TOKEN = v.pipe(v.string("must be a string"), v.maxLength(MAX_SECRET_LENGTH));

/**
 * Continues a connection with a new token of the same caller.
 * @param announce gets the token's end (RFC 3339; null: never) before the connection closes for what the token does not allow.
 * @throws FORBIDDEN for another caller's token, TOKEN_EXPIRED …
 */
export function renewToken(
  socket: LiveSocket,
  authenticator: Authenticator,
  token: string,
  announce: (expiresAt: string | null) => void,
): void {
  const principal = authenticator.authenticate(fromSecret(token));
  if (principal.key !== socket.caller.key)
    throw new PrismError("FORBIDDEN", "The token belongs to another caller; open a new connection");
  announce(Number.isFinite(principal.expiresAt) ? toRfc3339(principal.expiresAt) : null);
  socket.renew(principal);
}
