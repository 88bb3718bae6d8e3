import type { Principal } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { parseQuery } from "../../../http/body/input.ts";
import { type Authenticator, fromSecret, readCredential } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { HttpKernel } from "../../../http/server/kernel.ts";
import type { RealtimeAccess } from "../../connections.ts";

export interface HandshakeParts {
  readonly authenticator: Authenticator;
  readonly access: RealtimeAccess;
  readonly kernel: HttpKernel;
}

/**
 * The first request of a session, with its credential. Socket.IO authenticates by a later message,
 * which may contain another credential or rely on this one.
 */
export class HandshakeRequest {
  readonly address: string;
  /** Id of this request, as in the log. */
  readonly requestId: string;
  readonly #isControl: boolean;
  readonly #parts: HandshakeParts;
  readonly #secret: string | null = null;
  readonly #identify: () => Principal | null;

  constructor(exchange: Exchange, parts: HandshakeParts) {
    this.address = exchange.clientAddress;
    this.requestId = exchange.requestId;
    this.#isControl = exchange.isControl;
    this.#parts = parts;
    try {
      const credential = readCredential(exchange, true);
      this.#secret = credential?.secret ?? null;
      if (!credential) this.#identify = () => null;
      else if (credential.kind === "ticket") {
        // A ticket is used up by the first request, even if no session follows.
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
   * Starts to verify a token of another issuer, charged to the address; null if {@link authenticate}
   * has the answer. @throws WORK_LIMITED
   */
  check(token: string | null | undefined): Promise<void> | null {
    const secret = token ?? this.#secret;
    const sender = { isControl: this.#isControl, clientAddress: this.address };
    return secret === null ? null : this.#parts.kernel.checkOf(sender, fromSecret(secret));
  }

  /**
   * Authenticates by the message's token or the request's credential. The same secret in both
   * counts once.
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
      : new PrismError("TOKEN_EXPIRED", "The ticket's credential has expired");
  }
}

const PROTOCOL = "4";

/**
 * @returns the session id of a request. @throws VALIDATION_FAILED for another protocol or transport
 */
export function readSessionId(exchange: Exchange, transport: "polling" | "websocket"): string | undefined {
  const query = parseQuery(exchange.queryText);
  if (query["EIO"] !== PROTOCOL)
    throw queryRefused("EIO", "must be 4: this is Engine.IO 4, which Socket.IO 3 and 4 speak");
  if (query["transport"] !== transport) throw queryRefused("transport", `must be ${transport} for such a request`);
  return query["sid"];
}

/** The error for a request that Engine.IO does not define. */
export function queryRefused(path: string, message: string): PrismError {
  return invalidField("query", path, message);
}
