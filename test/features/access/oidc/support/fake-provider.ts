import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { UnsecuredJWT } from "jose";
import { listening } from "../../../../helpers/listening.ts";
import { type Claims, IssuerKey } from "../../authenticate/support/issuer.ts";

/** An OpenID provider that answers as a test wants, also wrongly. */
export class FakeProvider {
  readonly url: string;
  readonly key: IssuerKey;
  /** Beside those that a good ID token has; undefined removes one. */
  claims: Claims = { sub: "ann-1", email: "ann@example.com", email_verified: true, name: "Ann Lee" };
  header: Claims = {};
  /** Signs in place of `key`, which stays published. */
  signer: IssuerKey;
  /** Makes the ID token in place of the signer. */
  forge: ((claims: Claims) => string | Promise<string>) | null = null;
  info: Claims | null = null;
  refreshToken: string | undefined;
  /** Members of discovery beside the usual ones. */
  metadata: Claims = {};
  /** Answers the token endpoint in place of a token. */
  refusal: { readonly status: number; readonly error: string } | null = null;
  /** It holds answers back until this resolves. */
  until: Promise<void> | null = null;
  readonly requests: string[] = [];
  readonly tokenRequests: URLSearchParams[] = [];

  private constructor(url: string, key: IssuerKey) {
    this.url = url;
    this.key = key;
    this.signer = key;
  }

  static async start(t: TestContext): Promise<FakeProvider> {
    const server = createServer((request, response) => void provider.#answer(request, response));
    const url = `http://127.0.0.1:${await listening(t, server)}`;
    const provider = new FakeProvider(url, await IssuerKey.make("k1", "RS256"));
    return provider;
  }

  /** Its entry in `auth.oidc`. */
  settings(more: Claims = {}): Claims {
    return { name: "company", issuer: this.url, clientId: "prism", clientSecret: "a secret of prism", ...more };
  }

  /** A signed token of this provider. @param more beside issuer, audience and times; undefined removes one */
  token(more: Claims, header: Claims = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return this.signer.token({ iss: this.url, aud: "prism", iat: now, exp: now + 300, ...more }, header);
  }

  /** @param code the nonce that the sign-in began with */
  async #idToken(code: string): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.url, aud: "prism", iat: now, exp: now + 300, nonce: code, ...this.claims };
    return this.forge ? this.forge(claims) : this.signer.token(claims, this.header);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "", this.url);
    this.requests.push(pathname);
    let text = "";
    for await (const chunk of request) text += String(chunk);
    await this.until;
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { "Content-Type": "application/json", Connection: "close" });
      response.end(JSON.stringify(value));
    };
    if (pathname === "/.well-known/openid-configuration") return json(this.#published());
    if (pathname === "/keys") return json({ keys: [this.key.jwk] });
    if (pathname === "/userinfo") return json(this.info ?? {}, this.info ? 200 : 403);
    if (pathname !== "/token") return json({}, 404);
    const form = new URLSearchParams(text);
    this.tokenRequests.push(form);
    if (this.refusal) return json({ error: this.refusal.error }, this.refusal.status);
    json({
      ...{ access_token: "access", token_type: "Bearer", expires_in: 300 },
      id_token: await this.#idToken(form.get("code") ?? ""),
      ...(this.refreshToken === undefined ? {} : { refresh_token: this.refreshToken }),
    });
  }

  #published(): Claims {
    return {
      ...{ issuer: this.url, jwks_uri: `${this.url}/keys`, token_endpoint: `${this.url}/token` },
      ...{ authorization_endpoint: `${this.url}/authorize`, userinfo_endpoint: `${this.url}/userinfo` },
      ...{ response_types_supported: ["code"], subject_types_supported: ["public"] },
      id_token_signing_alg_values_supported: ["RS256"],
      ...this.metadata,
    };
  }
}

/** A token without a signature (RFC 7519 section 6). */
export function unsigned(claims: Claims): string {
  return new UnsecuredJWT(claims as Record<string, unknown>).encode();
}
