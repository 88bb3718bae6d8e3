import { PrismError, wrapped } from "./errors.ts";

/** Why a token is requested: there is none, it expires soon, or it was refused. */
export type TokenReason = "none" | "expiring" | "refused";

export interface CredentialOptions {
  /**
   * Access token, service token or API key, used until it expires. null: requests carry none,
   * because the connection itself identifies the caller, like the control socket of a server.
   */
  readonly token?: string | null;
  /**
   * Returns a token when one is needed, and a new one when it expires or was refused. null: there
   * is none, do not connect. One call at a time; the token is cached.
   */
  readonly getToken?: (reason: TokenReason) => string | null | Promise<string | null>;
  /**
   * Returns a ticket for each connection (`POST /api/v1/realtime/ticket`) instead of a token, for
   * pages without one. null: there is none, do not connect.
   */
  readonly getTicket?: () => string | null | Promise<string | null>;
}

/** The current token, renewed on demand. @internal */
export class Credentials {
  readonly #options: CredentialOptions;
  #token: string | null;
  #asking: Promise<string | null> | null = null;

  constructor(options: CredentialOptions) {
    this.#options = options;
    this.#token = options.token ?? null;
  }

  /** Requests carry no credential. */
  get isNone(): boolean {
    return this.#options.token === null;
  }

  get usesTickets(): boolean {
    return this.#options.getTicket !== undefined;
  }

  /** @throws NO_TOKEN, CREDENTIALS_FAILED */
  async ticket(): Promise<string> {
    const { getTicket } = this.#options;
    const ticket = getTicket ? await attempt(getTicket) : null;
    if (ticket === null) throw noToken();
    return ticket;
  }

  /** @returns null if requests carry none. @throws NO_TOKEN, CREDENTIALS_FAILED */
  async token(): Promise<string | null> {
    if (this.isNone) return null;
    const token = this.#token ?? (await this.#ask("none"));
    if (token === null) throw noToken();
    return token;
  }

  /**
   * A replacement for a token that expires or was refused.
   * @returns null if there is no other. @throws CREDENTIALS_FAILED
   */
  async another(used: string | null, reason: TokenReason): Promise<string | null> {
    if (used === null) return null;
    if (this.#token !== null && this.#token !== used) return this.#token;
    const token = await this.#ask(reason);
    return token === used ? null : token;
  }

  async #ask(reason: TokenReason): Promise<string | null> {
    const { getToken } = this.#options;
    if (!getToken) return null;
    this.#asking ??= attempt(() => getToken(reason)).finally(() => {
      this.#asking = null;
    });
    const token = await this.#asking;
    if (token !== null) this.#token = token;
    return token;
  }
}

async function attempt(give: () => string | null | Promise<string | null>): Promise<string | null> {
  try {
    return (await give()) ?? null;
  } catch (error) {
    throw wrapped("CREDENTIALS_FAILED", "No credential could be had", error);
  }
}

function noToken(): PrismError {
  return new PrismError("NO_TOKEN", "There is no token, or only the one that was refused");
}
