import { createServer } from "node:http";
import type { TestContext } from "node:test";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { listening } from "../../../../helpers/listening.ts";

export const ISSUER = "https://login.example.org";
export const AUDIENCE = "prism-app";

export type Claims = Readonly<Record<string, unknown>>;

/** A key of an issuer: what it signs with, and what it publishes. */
export class IssuerKey {
  readonly id: string;
  readonly algorithm: string;
  readonly jwk: JWK;
  readonly #key: CryptoKey;

  private constructor(id: string, algorithm: string, jwk: JWK, key: CryptoKey) {
    this.id = id;
    this.algorithm = algorithm;
    this.jwk = jwk;
    this.#key = key;
  }

  static async make(id: string, algorithm: string): Promise<IssuerKey> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: id, use: "sig", alg: algorithm };
    return new IssuerKey(id, algorithm, jwk, privateKey);
  }

  /**
   * @param claims beside a good issuer and audience; undefined removes one. @param header beside
   * `alg` and `kid`.
   */
  token(claims: Claims, header: Claims = {}): Promise<string> {
    const payload = { iss: ISSUER, aud: AUDIENCE, ...claims };
    return new SignJWT(payload).setProtectedHeader({ alg: this.algorithm, kid: this.id, ...header }).sign(this.#key);
  }
}

/** A server on this machine that publishes keys. */
export class KeyServer {
  /** What is answered; a function answers by itself. */
  keys: readonly JWK[] = [];
  status = 200;
  /** Sent instead of the key set. */
  text: string | undefined;
  headers: Readonly<Record<string, string>> = {};
  requests = 0;
  url = "";

  static async start(t: TestContext, ...keys: readonly IssuerKey[]): Promise<KeyServer> {
    const issuer = new KeyServer();
    issuer.publish(...keys);
    const server = createServer((_request, response) => {
      issuer.requests++;
      response.writeHead(issuer.status, { "Content-Type": "application/json", Connection: "close", ...issuer.headers });
      response.end(issuer.text ?? JSON.stringify({ keys: issuer.keys }));
    });
    const port = await listening(t, server);
    issuer.url = `http://127.0.0.1:${port}/keys`;
    return issuer;
  }

  publish(...keys: readonly IssuerKey[]): void {
    this.keys = keys.map(({ jwk }) => jwk);
  }

  get settings(): Readonly<Record<string, string>> {
    return {
      "auth.trusted.jwksUrl": this.url,
      "auth.trusted.issuer": ISSUER,
      "auth.trusted.audience": AUDIENCE,
      "rateLimit.enabled": "false",
    };
  }
}
