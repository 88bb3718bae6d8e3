import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import Provider, { type Configuration } from "oidc-provider";
import { listening } from "../../../../helpers/listening.ts";
import type { Scope } from "../../../../helpers/scope.ts";
import type { Claims } from "../../authenticate/support/issuer.ts";

const CLIENT = { client_id: "prism", client_secret: "a secret of prism" };

/** The provider of npm's `oidc-provider`, at which one person signs in without a password. */
export class RealProvider {
  readonly url: string;
  person: Claims & { readonly sub: string } = {
    ...{ sub: "ann-1", name: "Ann Lee", preferred_username: "ann" },
    ...{ email: "ann@example.com", email_verified: true, groups: ["ops"] },
  };
  /** Why Prism did not take a logout token. */
  logoutError: unknown = null;
  #provider: Provider | null = null;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(t: Scope): Promise<RealProvider> {
    const server = createServer((request, response) => void provider.#answer(request, response));
    const provider = new RealProvider(`http://127.0.0.1:${await listening(t, server)}`);
    return provider;
  }

  settings(more: Claims = {}): Claims {
    return {
      ...{ name: "company", label: "Example Inc", issuer: this.url, clientId: CLIENT.client_id },
      ...{ clientSecret: CLIENT.client_secret, provision: true, ...more },
    };
  }

  /** Makes Prism a client of it. @param origin where Prism is reached. @param port of Prism on this machine */
  register(origin: string, port: number): void {
    const configuration: Configuration = {
      clients: [
        {
          ...CLIENT,
          redirect_uris: [`${origin}/auth/oidc/company/callback`],
          grant_types: ["authorization_code", "refresh_token"],
          response_types: ["code"],
          backchannel_logout_uri: `http://127.0.0.1:${port}/auth/oidc/company/backchannel-logout`,
          backchannel_logout_session_required: true,
        },
      ],
      features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: {
          enabled: true,
          logoutSource(ctx, form) {
            ctx.body = form;
          },
        },
      },
      claims: {
        openid: ["sub"],
        profile: ["name", "preferred_username"],
        email: ["email", "email_verified"],
        groups: ["groups"],
      },
      scopes: ["openid", "offline_access", "profile", "email", "groups"],
      pkce: { required: () => true },
      issueRefreshToken: async () => true,
      // Its own refuses addresses of this machine.
      fetch: (url: string | URL | Request, { method, headers, body }: RequestInit = {}) =>
        fetch(url, { ...(method && { method }), ...(headers && { headers }), ...(body && { body }) }),
      cookies: { keys: ["a key of these tests"] },
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
      findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ ...this.person, sub: accountId }) }),
    };
    this.#provider = new Provider(this.url, configuration);
    this.#provider.on("backchannel.error", (_ctx, error) => {
      this.logoutError = error;
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const provider = this.#provider;
    assert.ok(provider, "Prism is registered");
    if (!request.url?.startsWith("/interaction/")) return provider.callback()(request, response);
    const { prompt, params } = await provider.interactionDetails(request, response);
    if (prompt.name === "login")
      return provider.interactionFinished(request, response, { login: { accountId: this.person.sub } });
    const grant = new provider.Grant({ accountId: this.person.sub, clientId: String(params["client_id"]) });
    grant.addOIDCScope(String(params["scope"]));
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  }
}

/** What a browser does at the provider: follows redirects with its cookies. */
export class ProviderVisit {
  readonly #cookies = new Map<string, string>();

  async request(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { redirect: "manual", ...init, headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, value);
    }
    return response;
  }

  /** @returns the URL outside of the provider to which it leads */
  async follow(url: string): Promise<URL> {
    const { origin } = new URL(url);
    let next = new URL(url);
    for (let step = 0; next.origin === origin; step++) {
      assert.ok(step < 12, "the provider leads on");
      const response = await this.request(next.href);
      const location = response.headers.get("location");
      assert.ok(location, `${next.pathname}: ${response.status} ${await response.text()}`);
      next = new URL(location, next);
    }
    return next;
  }

  /** Signs out at the provider. */
  async signOut(url: string): Promise<void> {
    const form = await (await this.request(`${url}/session/end`)).text();
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(form)?.[1] ?? "";
    const body = new URLSearchParams({ xsrf, logout: "yes" });
    const response = await this.request(`${url}/session/end/confirm`, { method: "POST", body });
    await response.body?.cancel();
    assert.ok(response.status < 400, String(response.status));
  }
}
