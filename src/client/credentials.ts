import { PrismError, wrapped } from "./errors.ts";

/** Why a token is asked for: there is none yet, the one there is ends soon, or it was refused. */
export type TokenReason = "none" | "expiring" | "refused";

export interface CredentialOptions {
  /**
   * Access token, service token or API key, for as long as it lasts. null: requests carry none,
   * because the connection itself identifies the caller, as the control socket of a server does.
   */
  readonly token?: string | null;
  /**
   * Gives a token whenever one is needed, and a new one when the last ends or was refused. null:
   * there is none, stay away. One call at a time; the token is kept until another is needed.
   */
  readonly getToken?: (reason: TokenReason) => string | null | Promise<string | null>;
  /**
   * Gives a ticket for each connection (`POST /api/v1/realtime/ticket`), in place of a token: for
   * pages that never hold one. null: there is none, stay away.
   */
  readonly getTicket?: () => string | null | Promise<string | null>;
}

/** The token in use, renewed on demand. @internal */
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

  /** @returns null where requests carry none. @throws NO_TOKEN, CREDENTIALS_FAILED */
  async token(): Promise<string | null> {
    if (this.isNone) return null;
    const token = this.#token ?? (await this.#ask("none"));
    if (token === null) throw noToken();
    return token;
  }

  /**
   * A token in place of one that ends or was refused.
   * @returns null when there is no other. @throws CREDENTIALS_FAILED
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
  return new PrismError("NO_TOKEN", "There is no token, or no other than the one that was refused");
}
