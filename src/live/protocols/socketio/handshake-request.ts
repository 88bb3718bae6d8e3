import { PrismError } from "../../../core/errors.ts";
import type { Principal } from "../../../core/principal.ts";
import { type Authenticator, fromSecret, readCredential } from "../../../http/credentials.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { parseQuery } from "../../../http/input.ts";
import type { RealtimeAccess } from "../../connections.ts";

export interface HandshakeParts {
  readonly authenticator: Authenticator;
  readonly access: RealtimeAccess;
}

/**
 * The first request of a session, with its credential. Socket.IO authenticates by its own message,
 * which may bring another credential or rely on this one.
 */
export class HandshakeRequest {
  readonly address: string;
  /** The request's own; the log has it. */
  readonly requestId: string;
  readonly #parts: HandshakeParts;
  readonly #secret: string | null = null;
  readonly #identify: () => Principal | null;

  constructor(exchange: Exchange, parts: HandshakeParts) {
    this.address = exchange.clientAddress;
    this.requestId = exchange.requestId;
    this.#parts = parts;
    try {
      const credential = readCredential(exchange, true);
      this.#secret = credential?.secret ?? null;
      if (!credential) this.#identify = () => null;
      else if (credential.kind === "ticket") {
        // Spent by the first request, even if the session comes to nothing.
        const holder = parts.authenticator.authenticate(credential);
        this.#identify = () => parts.access.refresh(holder);
      } else this.#identify = () => parts.authenticator.authenticate(credential);
    } catch (error) {
      this.#identify = () => {
        throw error;
      };
    }
  }

  /**
   * Who it is, by the token of the message or the credential of the request. The same one twice is
   * one.
   * @throws UNAUTHENTICATED, AMBIGUOUS_CREDENTIALS, TOKEN_EXPIRED …
   */
  authenticate(token: string | null | undefined): Principal {
    if (token !== null && token !== undefined && token !== this.#secret) {
      if (this.#secret !== null) throw new PrismError("AMBIGUOUS_CREDENTIALS", "Send one credential, not several");
      return this.#parts.authenticator.authenticate(fromSecret(token));
    }
    const principal = this.#identify();
    if (principal) return principal;
    throw this.#secret === null
      ? new PrismError("UNAUTHENTICATED", "Send an access token, a service token or an API key as auth.token")
      : new PrismError("TOKEN_EXPIRED", "The ticket's credential has ended");
  }
}

const PROTOCOL = "4";

/**
 * @returns the session that a request is of. @throws VALIDATION_FAILED for another protocol or
 * transport than the request's
 */
export function readSessionId(exchange: Exchange, transport: "polling" | "websocket"): string | undefined {
  const query = parseQuery(exchange.queryText);
  if (query["EIO"] !== PROTOCOL)
    throw queryRefused("EIO", "must be 4: this is Engine.IO 4, which Socket.IO 3 and 4 speak");
  if (query["transport"] !== transport) throw queryRefused("transport", `must be ${transport} for such a request`);
  return query["sid"];
}

/** A request that Engine.IO knows no answer to. */
export function queryRefused(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The query is not valid", { details: [{ path, code: "VALUE", message }] });
}
