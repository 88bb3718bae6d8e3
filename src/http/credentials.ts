import { PrismError } from "../base/errors.ts";
import type { Principal } from "../base/principal.ts";
import type { Exchange } from "./exchange.ts";

/** What a caller showed. `bearer` is an access token or a service token, told apart by its prefix. */
export interface Credential {
  readonly kind: "bearer" | "apiKey";
  readonly secret: string;
}

/** Turns a credential into who is calling, at this moment. May answer at once, or after a signature was checked. */
export interface Authenticator {
  /** @throws (or rejects with) TOKEN_EXPIRED, TOKEN_INVALID, INVALID_API_KEY, ACCOUNT_DISABLED, ACCOUNT_PENDING, … */
  authenticate(credential: Credential): Principal | Promise<Principal>;
}

const MAX_SECRET_LENGTH = 8192;

/** @returns null when none was sent. @throws AMBIGUOUS_CREDENTIALS, UNAUTHENTICATED for a scheme we do not know. */
export function readCredential(exchange: Exchange): Credential | null {
  const authorization = exchange.header("authorization");
  const apiKey = exchange.header("x-api-key");
  if (authorization === "") return apiKey === "" ? null : checked({ kind: "apiKey", secret: apiKey });
  if (apiKey !== "")
    throw new PrismError("AMBIGUOUS_CREDENTIALS", "Send one credential: Authorization or X-API-Key, not both");
  const space = authorization.indexOf(" ");
  const scheme = authorization.slice(0, space).toLowerCase();
  const secret = authorization.slice(space + 1).trim();
  if (scheme === "apikey") return checked({ kind: "apiKey", secret });
  if (scheme === "bearer") return checked({ kind: secret.startsWith("prk_") ? "apiKey" : "bearer", secret });
  throw new PrismError("UNAUTHENTICATED", "Authorization must be Bearer or ApiKey");
}

function checked(credential: Credential): Credential {
  if (credential.secret.length > MAX_SECRET_LENGTH) throw new PrismError("TOKEN_INVALID", "The credential is too long");
  return credential;
}
