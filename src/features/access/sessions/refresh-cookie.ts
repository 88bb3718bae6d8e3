import type { Exchange } from "../../../http/exchange.ts";

/** In front of a token whose cookie ends with the browser: the cookie of the next refresh is of the same kind. */
const UNTIL_BROWSER_ENDS = "~";

/** The cookie that holds a refresh token (contract 4.4). Nothing but refresh and logout reads it. */
export class RefreshCookie {
  readonly #name: string;
  readonly #attributes: string;

  /** @param isSecure whether clients reach this server over https: the `__Host-` prefix then keeps other hosts from setting it (RFC 6265bis 4.1.3.2). */
  constructor(isSecure: boolean) {
    this.#name = isSecure ? "__Host-prism_refresh" : "prism_refresh";
    this.#attributes = `HttpOnly; SameSite=Strict; Path=/${isSecure ? "; Secure" : ""}`;
  }

  /** @returns the token of the request's cookie; undefined when there is none. */
  read(exchange: Exchange): string | undefined {
    return this.#value(exchange)?.replace(UNTIL_BROWSER_ENDS, "");
  }

  /** Whether the request's cookie was set by a login that is not to be remembered. */
  endsWithBrowser(exchange: Exchange): boolean {
    return this.#value(exchange)?.startsWith(UNTIL_BROWSER_ENDS) ?? false;
  }

  #value(exchange: Exchange): string | undefined {
    for (const part of exchange.header("cookie").split(";")) {
      const [name, value] = part.trim().split("=", 2);
      if (name === this.#name && value) return value;
    }
    return undefined;
  }

  /** @param endsWithBrowser without an end of its own: the browser drops it when it ends. */
  set(token: string, maxAgeMs: number, endsWithBrowser = false): string {
    if (endsWithBrowser) return `${this.#name}=${UNTIL_BROWSER_ENDS}${token}; ${this.#attributes}`;
    return `${this.#name}=${token}; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1000))}; ${this.#attributes}`;
  }

  clear(): string {
    return `${this.#name}=; Max-Age=0; ${this.#attributes}`;
  }
}
