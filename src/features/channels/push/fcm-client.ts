import type { KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { unlessAborted } from "../../../core/promises.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { CALL_LIMITS, type CallLimits, httpLimitsOf } from "../../delivery/calls/connect.ts";
import { type Accepted, type ChannelCalls, ProviderDown, TargetGone, Throttled } from "../../delivery/channel.ts";
import { PermanentError } from "../../time/jobs/index.ts";
import {
  KeptToken,
  type PostReply,
  PUSH_TIMEOUT_MS,
  PushConnections,
  parseJson,
  postText,
  privateKeyOf,
  readKeyFile,
  reasonOf,
  tryAgain,
  unlessUnusedToken,
} from "./http.ts";
import type { PushMessage } from "./message.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_S = 3600;
/** A token is renewed this long before it expires, or halfway if it is short-lived. */
const RENEW_BEFORE_MS = 5 * 60_000;

const Grant = v.object({ access_token: v.pipe(v.string(), v.minLength(1)), expires_in: v.number() });

interface FcmAccess {
  readonly token: string;
  readonly projectId: string;
  /** Monotonic time. */
  readonly renewAt: number;
}

interface FcmAccessOptions {
  readonly credentials: string;
  /** Overrides the endpoint of the credentials. */
  readonly tokenEndpoint?: string | undefined;
  readonly timeoutMs: number;
  readonly connections: PushConnections;
  /** Aborts when the server stops. */
  readonly closing: AbortSignal;
}

/**
 * Requests an access token by the JWT bearer grant (RFC 7523). Reads the key each time, so that a
 * changed file needs no restart.
 * @throws ProviderDown, RetryLater, or a network error
 */
async function fetchAccess(
  { credentials: path, tokenEndpoint, timeoutMs, connections, closing }: FcmAccessOptions,
  clock: Clock,
): Promise<FcmAccess> {
  const credentials = await readFcmCredentials(path);
  const reply = await postText({
    provider: "Google's token server",
    url: tokenEndpoint ?? credentials.tokenUri,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: GRANT, assertion: await assertionOf(credentials, clock) }).toString(),
    timeoutMs,
    connections,
    signal: closing,
    now: clock.now(),
  });
  if (reply.status === 429 || reply.status >= 500)
    throw tryAgain(`Google's token server answered ${reply.status}`, reply.retryAfterMs);
  const grant = v.safeParse(Grant, reply.json);
  if (reply.status !== 200 || !grant.success)
    throw new ProviderDown(`Google refuses the key of fcm.credentials: ${reply.status} ${oauthError(reply.json)}`);
  const lifeMs = grant.output.expires_in * 1000;
  const renewAt = clock.elapsed() + Math.max(lifeMs - RENEW_BEFORE_MS, lifeMs / 2);
  return { token: grant.output.access_token, projectId: credentials.projectId, renewAt };
}

function assertionOf({ clientEmail, key, keyId, tokenUri }: FcmCredentials, clock: Clock): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  return new SignJWT({ scope: SCOPE })
    .setProtectedHeader({ alg: "RS256", typ: "JWT", ...(keyId === undefined ? {} : { kid: keyId }) })
    .setIssuer(clientEmail)
    .setAudience(tokenUri)
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_S)
    .sign(key);
}

const OAuthError = v.object({ error: v.string(), error_description: v.optional(v.string(), "") });

/** RFC 6749 section 5.2. */
function oauthError(json: unknown): string {
  const { success, output } = v.safeParse(OAuthError, json);
  return success ? `${output.error} ${output.error_description}`.trim().slice(0, 200) : "without an error code";
}

const DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token";

/** The used members of Google's service account file. */
const ServiceAccount = v.object({
  type: v.literal("service_account"),
  project_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/)),
  private_key_id: v.optional(v.string()),
  private_key: v.string(),
  client_email: v.pipe(v.string(), v.minLength(3)),
  token_uri: v.optional(v.pipe(v.string(), v.startsWith("https://"), v.url())),
});

interface FcmCredentials {
  readonly projectId: string;
  readonly clientEmail: string;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly tokenUri: string;
}

/** Reads a service account file. @throws ProviderDown, without the file's content */
export async function readFcmCredentials(path: string): Promise<FcmCredentials> {
  const wrong = (what: string): ProviderDown => new ProviderDown(`fcm.credentials (${path}) ${what}`);
  const text = await readKeyFile("fcm.credentials", path);
  const { success, output, issues } = v.safeParse(ServiceAccount, parseJson(text));
  if (!success)
    throw wrong(`is no service account's key: ${v.getDotPath(issues[0]) ?? "JSON"} is missing or not as it must be`);
  const key = privateKeyOf(output.private_key);
  if (key?.asymmetricKeyType !== "rsa")
    throw wrong("is no service account's key: private_key is not an RSA key in PEM");
  return {
    projectId: output.project_id,
    clientEmail: output.client_email,
    key,
    keyId: output.private_key_id,
    tokenUri: output.token_uri ?? DEFAULT_TOKEN_URI,
  };
}

export interface FcmOptions {
  /** Path of the service account file. */
  readonly credentials: string;
  readonly endpoint?: string | undefined;
  readonly tokenEndpoint?: string | undefined;
  readonly timeoutMs?: number;
  readonly limits?: CallLimits;
}

/** @returns null when FCM is not configured. */
export function fcmOptionsOf(config: Config): FcmOptions | null {
  const { credentials, endpoint, tokenEndpoint } = config.fcm;
  return credentials === undefined ? null : { credentials, endpoint, tokenEndpoint, limits: httpLimitsOf(config) };
}

const ENDPOINT = "https://fcm.googleapis.com";
/** The delay FCM documents for a 429 without Retry-After. */
const QUOTA_PAUSE_MS = 60_000;
/** No device has this token; `validate_only` prevents sending in any case. */
const UNUSED_TOKEN = "prism-doctor";

/**
 * The HTTP v1 API of Firebase Cloud Messaging
 * (https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send).
 */
export class FcmClient implements ChannelCalls<PushMessage> {
  readonly isConfigured = true;
  readonly #options: FcmOptions;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #access: KeptToken<FcmAccess>;
  readonly #closing = new AbortController();
  readonly #connections: PushConnections;

  constructor(options: FcmOptions, clock: Clock) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? PUSH_TIMEOUT_MS;
    this.#clock = clock;
    this.#connections = new PushConnections(options.limits ?? CALL_LIMITS);
    const parts = { timeoutMs: this.#timeoutMs, connections: this.#connections, closing: this.#closing.signal };
    const access = { ...options, ...parts };
    this.#access = new KeptToken(clock, () => fetchAccess(access, clock));
  }

  async call({ token, body }: PushMessage, signal: AbortSignal): Promise<Accepted> {
    this.#closing.signal.throwIfAborted();
    return this.#post(body, token, signal);
  }

  async check(): Promise<void> {
    const message = { token: UNUSED_TOKEN, notification: { title: "prism", body: "prism" } };
    const sent = this.#post(JSON.stringify({ validate_only: true, message }), UNUSED_TOKEN, this.#closing.signal);
    await sent.catch(unlessUnusedToken);
  }

  close(): void {
    this.#closing.abort(new Error("the server stops"));
    this.#connections.close();
  }

  async #post(body: string, token: string, signal: AbortSignal): Promise<Accepted> {
    const access = await unlessAborted(this.#access.get(), signal);
    const reply = await this.#postAs(access, body, signal);
    const refusal = reply.status === 401 ? fcmRefusal(reply.json) : undefined;
    if (refusal === undefined || refusal.code === "THIRD_PARTY_AUTH_ERROR") return this.#answer(reply, token);
    // Replacing a key revokes its tokens early.
    const renewed = await unlessAborted(this.#access.get(access.token), signal);
    return this.#answer(await this.#postAs(renewed, body, signal), token);
  }

  async #postAs({ token, projectId }: FcmAccess, body: string, signal: AbortSignal): Promise<PostReply> {
    return postText({
      provider: "FCM",
      url: `${this.#options.endpoint ?? ENDPOINT}/v1/projects/${encodeURIComponent(projectId)}/messages:send`,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body,
      timeoutMs: this.#timeoutMs,
      connections: this.#connections,
      signal,
      now: this.#clock.now(),
    });
  }

  #answer({ status, json, retryAfterMs }: PostReply, token: string): Accepted {
    if (status === 200) return { providerId: this.#nameOf(json) };
    const { code, message, namesToken } = fcmRefusal(json);
    const said = `FCM answered ${status} ${code}: ${reasonOf(message, token)}`;
    if (status === 429 && retryAfterMs === undefined) throw new Throttled(said, QUOTA_PAUSE_MS, { isGuess: true });
    // A redirect comes from a proxy in between.
    if (status < 400 || status >= 500 || status === 429) throw tryAgain(said, retryAfterMs);
    const isBadToken =
      (status === 404 && code === "UNREGISTERED") ||
      (status === 403 && code === "SENDER_ID_MISMATCH") ||
      (status === 400 && code === "INVALID_ARGUMENT" && namesToken);
    if (isBadToken) throw new TargetGone(said);
    if (status === 401 || status === 403) throw new ProviderDown(said);
    throw new PermanentError(said);
  }

  /** `projects/{project}/messages/{id}`, FCM's id. An answer without it is not from FCM. */
  #nameOf(json: unknown): string {
    const name: unknown = Object(json).name;
    if (typeof name !== "string" || name === "") throw tryAgain("FCM answered 200 without a message name", undefined);
    return name.slice(0, 255);
  }
}

/**
 * The error body of Google's APIs, with FCM's details
 * (https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).
 */
const Refusal = v.object({
  error: v.object({
    status: v.optional(v.string(), "UNKNOWN"),
    message: v.optional(v.string(), ""),
    details: v.optional(
      v.array(
        v.object({
          "@type": v.optional(v.string(), ""),
          errorCode: v.optional(v.string()),
          fieldViolations: v.optional(v.array(v.object({ field: v.optional(v.string(), "") }))),
        }),
      ),
      [],
    ),
  }),
});

interface FcmRefusal {
  /** FCM's own code, or that of Google's APIs. */
  readonly code: string;
  readonly message: string;
  /** Whether the refusal concerns the token. */
  readonly namesToken: boolean;
}

/** Parses a refusal; an answer in another format gives empty values. */
function fcmRefusal(json: unknown): FcmRefusal {
  const { success, output } = v.safeParse(Refusal, json);
  if (!success) return { code: "UNKNOWN", message: "no reason was given", namesToken: false };
  const { status, message, details } = output.error;
  const fields = details.flatMap(({ fieldViolations }) => fieldViolations ?? []).map(({ field }) => field);
  return {
    code: details.find(({ errorCode }) => errorCode !== undefined)?.errorCode ?? status,
    message,
    namesToken: fields.includes("message.token") || (fields.length === 0 && /\bregistration token\b/i.test(message)),
  };
}
