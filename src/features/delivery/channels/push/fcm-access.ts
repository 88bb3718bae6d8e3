import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SignJWT } from "jose";
import * as v from "valibot";
import type { Clock } from "../../../../core/clock.ts";
import { ProviderDown } from "../../channel.ts";
import { postText, tryAgain } from "./http.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_S = 3600;
/** A token is renewed this long before its end, or at half of its life if that is short. */
const RENEW_BEFORE_MS = 5 * 60_000;

const Grant = v.object({ access_token: v.pipe(v.string(), v.minLength(1)), expires_in: v.number() });

export interface FcmAccess {
  readonly token: string;
  readonly projectId: string;
}

interface Held extends FcmAccess {
  /** Monotonic time. */
  readonly renewAt: number;
}

export interface FcmAccessOptions {
  readonly credentials: string;
  /** In place of what the credentials say. */
  readonly tokenEndpoint?: string | undefined;
  readonly timeoutMs: number;
  /** The server stops. */
  readonly closing: AbortSignal;
}

/**
 * Access tokens for FCM by the JWT bearer grant (RFC 7523). One is kept until shortly before its end; a caller that asks while one is on its way waits for
 * that one. The key is read again for each, so that a changed file needs no restart.
 */
export class FcmAccessTokens {
  readonly #options: FcmAccessOptions;
  readonly #clock: Clock;
  #held: Held | null = null;
  #fetching: Promise<Held> | null = null;

  constructor(options: FcmAccessOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** @param refused a token that FCM did not take; another one is given. @throws ProviderDown, RetryLater, or what was in the way */
  async get(refused?: string): Promise<FcmAccess> {
    const held = this.#held;
    if (held && held.token !== refused && this.#clock.elapsed() < held.renewAt) return held;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = null;
    });
    this.#held = await this.#fetching;
    return this.#held;
  }

  async #fetch(): Promise<Held> {
    const { tokenEndpoint, timeoutMs, closing } = this.#options;
    const credentials = await readFcmCredentials(this.#options.credentials);
    const reply = await postText({
      provider: "Google's token server",
      url: tokenEndpoint ?? credentials.tokenUri,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: GRANT, assertion: await this.#assertion(credentials) }).toString(),
      timeoutMs,
      signal: closing,
      now: this.#clock.now(),
    });
    if (reply.status === 429 || reply.status >= 500)
      throw tryAgain(`Google's token server answered ${reply.status}`, reply.retryAfterMs);
    const grant = v.safeParse(Grant, reply.json);
    if (reply.status !== 200 || !grant.success)
      throw new ProviderDown(`Google refuses the key of fcm.credentials: ${reply.status} ${oauthError(reply.json)}`);
    const lifeMs = grant.output.expires_in * 1000;
    const renewAt = this.#clock.elapsed() + Math.max(lifeMs - RENEW_BEFORE_MS, lifeMs / 2);
    return { token: grant.output.access_token, projectId: credentials.projectId, renewAt };
  }

  #assertion({ clientEmail, key, keyId, tokenUri }: FcmCredentials): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000);
    return new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: "RS256", typ: "JWT", ...(keyId === undefined ? {} : { kid: keyId }) })
      .setIssuer(clientEmail)
      .setAudience(tokenUri)
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_S)
      .sign(key);
  }
}

const OAuthError = v.object({ error: v.string(), error_description: v.optional(v.string(), "") });

/** RFC 6749 section 5.2. */
function oauthError(json: unknown): string {
  const { success, output } = v.safeParse(OAuthError, json);
  return success ? `${output.error} ${output.error_description}`.trim().slice(0, 200) : "without an error code";
}

const DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token";

/** What Google's file of a service account holds, as far as it is used. */
const ServiceAccount = v.object({
  type: v.literal("service_account"),
  project_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/)),
  private_key_id: v.optional(v.string()),
  private_key: v.string(),
  client_email: v.pipe(v.string(), v.minLength(3)),
  token_uri: v.optional(v.pipe(v.string(), v.startsWith("https://"), v.url())),
});

export interface FcmCredentials {
  readonly projectId: string;
  readonly clientEmail: string;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly tokenUri: string;
}

/** Reads a service account's file. @throws ProviderDown, saying what is wrong with it and nothing of what it holds */
export async function readFcmCredentials(path: string): Promise<FcmCredentials> {
  const wrong = (what: string, cause?: unknown): ProviderDown =>
    new ProviderDown(`fcm.credentials (${path}) ${what}`, { cause });
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw wrong(`cannot be read: ${error instanceof Error && "code" in error ? String(error.code) : "error"}`, error);
  }
  const { success, output, issues } = v.safeParse(ServiceAccount, parseJson(text));
  if (!success)
    throw wrong(`is no service account's key: ${v.getDotPath(issues[0]) ?? "JSON"} is missing or not as it must be`);
  const key = rsaKey(output.private_key);
  if (!key) throw wrong("is no service account's key: private_key is not an RSA key in PEM");
  return {
    projectId: output.project_id,
    clientEmail: output.client_email,
    key,
    keyId: output.private_key_id,
    tokenUri: output.token_uri ?? DEFAULT_TOKEN_URI,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function rsaKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === "rsa" ? key : undefined;
  } catch {
    return undefined;
  }
}
