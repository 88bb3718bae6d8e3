import { PrismError } from "../../../core/errors.ts";
import type { Principal } from "../../../core/principal.ts";
import { type Authenticator, fromSecret, readCredential } from "../../../http/credentials.ts";
import type { Exchange } from "../../../http/exchange.ts";
import type { RealtimeAccess } from "../../connections.ts";

export interface VisitorParts {
  readonly authenticator: Authenticator;
  readonly access: RealtimeAccess;
}

/**
 * Whoever has sent the first request of a session, and what it showed. That says nothing yet: Socket.IO authenticates by its own message, which may
 * bring the credential or leave it at this one.
 */
export class Visitor {
  readonly address: string;
  /** The request's own; the log has it. */
  readonly requestId: string;
  readonly #parts: VisitorParts;
  readonly #secret: string | null = null;
  readonly #identify: () => Principal | null;

  constructor(exchange: Exchange, parts: VisitorParts) {
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
   * Who it is, by the token of the message or the credential of the request. The same one twice is one.
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
