import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { PrismOptions, Reply, TestPrism } from "../../../../helpers/prism.ts";
import type { Claims } from "../../authenticate/support/issuer.ts";
import { startAccounts } from "../../sessions/support/auth-client.ts";

/** A server with these providers, in which new people have an account at once. */
export function startWith(
  t: TestContext,
  providers: readonly Claims[],
  options: PrismOptions = {},
): Promise<TestPrism> {
  const settings = { "auth.oidc": JSON.stringify(providers), ...options.settings };
  return startAccounts(t, { ...options, settings });
}

/** Where a redirect leads: a path of the console with its fragment. */
export interface Landing {
  readonly path: string;
  readonly fragment: URLSearchParams;
}

/** The cookies of one browser, and its way to a provider and back. */
export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #prism: Pick<TestPrism, "request" | "get">;

  constructor(prism: Pick<TestPrism, "request" | "get">) {
    this.#prism = prism;
  }

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** A request with its cookies; those of the answer are kept. */
  async request(method: string, path: string, body?: unknown, token: string | null = null): Promise<Reply> {
    const reply = await this.#prism.request(method, path, body, { token, headers: { Cookie: this.cookie } });
    this.keep(reply);
    return reply;
  }

  keep({ headers }: Reply<unknown>): void {
    for (const line of headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0\b/.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }

  /** Goes to the provider. @returns the query of its sign-in page */
  async start(name = "company", returnTo = ""): Promise<URLSearchParams> {
    const query = returnTo === "" ? "" : `?returnTo=${encodeURIComponent(returnTo)}`;
    const reply = await this.request("GET", `/auth/oidc/${name}${query}`);
    assert.equal(reply.status, 302, reply.text);
    return new URL(reply.headers.get("location") ?? "").searchParams;
  }

  /** Comes back. @param given the query of the provider's answer */
  async back(given: Readonly<Record<string, string>>, name = "company"): Promise<Landing> {
    const reply = await this.request("GET", `/auth/oidc/${name}/callback?${new URLSearchParams(given)}`);
    assert.equal(reply.status, 302, reply.text);
    return landing(reply);
  }

  /** Both ways; a fake provider takes the nonce as the code. */
  async signIn(name = "company", returnTo = ""): Promise<Landing> {
    const asked = await this.start(name, returnTo);
    return this.back({ state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" }, name);
  }

  /** The access token of the session that its cookie has. */
  async accessToken(): Promise<string> {
    const reply = await this.request("POST", "/api/v1/auth/refresh", {});
    assert.equal(reply.status, 200, reply.text);
    return String(reply.body["accessToken"]);
  }

  async me(): Promise<Record<string, unknown>> {
    return (await this.#prism.get("/api/v1/users/me", { token: await this.accessToken() })).body;
  }
}

export function landing({ headers }: Reply<unknown>): Landing {
  const { pathname, search, hash } = new URL(headers.get("location") ?? "");
  return { path: pathname + search, fragment: new URLSearchParams(hash.slice(1)) };
}

/** The code of the error that a sign-in ended with. */
export async function refusalOf(answer: Promise<Landing>): Promise<string | null> {
  return (await answer).fragment.get("error");
}
