import { type KeyObject, randomUUID } from "node:crypto";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { SignJWT } from "jose";
import * as v from "valibot";
import type { Config } from "../../../../config/load.ts";
import type { Clock } from "../../../../core/clock.ts";
import { PermanentError } from "../../../jobs/index.ts";
import { type Accepted, type ChannelCalls, ProviderDown, TargetGone } from "../../channel.ts";
import { readRetryAfter } from "../../retry-after.ts";
import {
  KeptToken,
  MAX_ANSWER_BYTES,
  notReached,
  PUSH_TIMEOUT_MS,
  privateKeyOf,
  readKeyFile,
  reasonOf,
  tryAgain,
  unlessUnusedToken,
} from "./http.ts";
import type { PushMessage } from "./message.ts";

/**
 * A connection that was quiet for so long may be dead without notice: the next message opens
 * another.
 */
const IDLE_MS = 5 * 60_000;
/**
 * The error code with which a server gives a stream back that it has not looked at (RFC 9113
 * section 7).
 */
const REFUSED_STREAM = 7;

interface ApnsConnectionOptions {
  /** https, or http for HTTP/2 without TLS. */
  readonly origin: string;
  /** For the whole exchange, the last byte of the answer included. */
  readonly timeoutMs: number;
  /** Certificates to trust besides the system's; in PEM. */
  readonly ca?: string | undefined;
}

interface ApnsReply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** The server has not looked at the request: it may go out again at once. */
class Unprocessed extends Error {
  override readonly name = "Unprocessed";
}

/**
 * One kept connection to Apple over HTTP/2 (RFC 9113). When Apple says that it ends (GOAWAY) or it
 * does not answer, new requests open another, and those under way on the old one come to their end
 * there. A request that the server has certainly not processed goes out again, once.
 */
class ApnsConnection {
  readonly #options: ApnsConnectionOptions;
  readonly #open = new Set<ClientHttp2Session>();
  /** Where a session has ended, its socket may still wait for Apple's end of it. */
  readonly #sockets = new Set<Socket>();
  #current: ClientHttp2Session | null = null;
  #isClosed = false;

  constructor(options: ApnsConnectionOptions) {
    this.#options = options;
  }

  /** @throws what was in the way, or the signal's reason */
  async post(headers: OutgoingHttpHeaders, body: string, signal?: AbortSignal): Promise<ApnsReply> {
    try {
      return await this.#exchange(headers, body, signal);
    } catch (error) {
      if (!(error instanceof Unprocessed)) throw error;
    }
    try {
      return await this.#exchange(headers, body, signal);
    } catch (error) {
      throw error instanceof Unprocessed ? notReached("APNs", error.cause) : error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const session of this.#open) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #exchange(headers: OutgoingHttpHeaders, body: string, signal?: AbortSignal): Promise<ApnsReply> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs);
    signal?.throwIfAborted();
    const session = await this.#session();
    try {
      const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
      return await read(start(session, headers, either), body);
    } catch (error) {
      signal?.throwIfAborted();
      if (!timeout.aborted) throw error instanceof Unprocessed ? error : notReached("APNs", error);
      this.#retire(session);
      throw new Error(`APNs did not answer within ${this.#options.timeoutMs} ms`, { cause: error });
    }
  }

  async #session(): Promise<ClientHttp2Session> {
    // Loaded with the first message: a server without apps needs it never.
    const { connect } = await import("node:http2");
    if (this.#isClosed) throw new Error("the server stops");
    if (this.#current && !this.#current.closed && !this.#current.destroyed) return this.#current;
    const { origin, ca } = this.#options;
    const session = connect(origin, ca === undefined ? {} : { ca });
    this.#current = session;
    this.#open.add(session);
    // Each request hears of it by itself.
    session.on("error", () => undefined);
    session.on("goaway", () => this.#retire(session));
    session.on("close", () => this.#open.delete(session));
    session.on("connect", (_session, socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    session.setTimeout(IDLE_MS, () => this.#retire(session));
    return session;
  }

  /** Takes no more requests; ends with the last that is under way. */
  #retire(session: ClientHttp2Session): void {
    if (this.#current === session) this.#current = null;
    if (!session.closed) session.close();
  }
}

function start(session: ClientHttp2Session, headers: OutgoingHttpHeaders, signal: AbortSignal): ClientHttp2Stream {
  try {
    return session.request(headers, { signal });
  } catch (error) {
    throw new Unprocessed("the connection has ended", { cause: error });
  }
}

function read(stream: ClientHttp2Stream, body: string): Promise<ApnsReply> {
  return new Promise((resolve, reject) => {
    let [status, bytes] = [0, 0];
    let retryAfter: string | undefined;
    const chunks: Buffer[] = [];
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      retryAfter = headers["retry-after"];
    });
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_ANSWER_BYTES) stream.destroy(new Error("the answer is too long"));
    });
    stream.on("end", () => {
      if (status !== 0) resolve({ status, retryAfter, text: Buffer.concat(chunks).toString() });
    });
    // RFC 9113 section 8.7: a refused stream was not processed, and neither was one after the last
    // that a GOAWAY names.
    stream.on("error", (error) =>
      reject(stream.rstCode === REFUSED_STREAM ? new Unprocessed(error.message, { cause: error }) : error),
    );
    stream.on("close", () => reject(new Error("the connection ended without an answer")));
    stream.end(body);
  });
}

export interface ApnsOptions extends ApnsKeyOptions {
  readonly bundleId: string;
  readonly endpoint: string;
  readonly timeoutMs?: number;
  /** Certificates to trust in place of the system's; in PEM. */
  readonly ca?: string;
}

const PRODUCTION = "https://api.push.apple.com";
const SANDBOX = "https://api.sandbox.push.apple.com";

/** @returns null where APNs is not configured. */
export function apnsOptionsOf({ apns, env }: Config): ApnsOptions | null {
  const { keyFile, keyId, teamId, bundleId, production = env === "production" } = apns;
  if (keyFile === undefined || keyId === undefined || teamId === undefined || bundleId === undefined) return null;
  return { keyFile, keyId, teamId, bundleId, endpoint: apns.endpoint ?? (production ? PRODUCTION : SANDBOX) };
}

/** No device has this token. */
const UNUSED_TOKEN = "0".repeat(64);

/** What Apple says of a token that is no good, by status. */
const BAD_TOKEN = new Set(["400 BadDeviceToken", "400 DeviceTokenNotForTopic", "410 Unregistered", "410 ExpiredToken"]);
/** Refused with 400, and not because of this message. */
const BAD_SETTINGS = new Set(["BadTopic", "TopicDisallowed", "MissingTopic"]);

/**
 * What Apple says of a refusal
 * (https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns).
 */
const Refusal = v.object({ reason: v.string(), timestamp: v.optional(v.number()) });

/** Apple's push service, with tokens in place of certificates. */
export class ApnsClient implements ChannelCalls<PushMessage> {
  readonly isConfigured = true;
  readonly #options: ApnsOptions;
  readonly #clock: Clock;
  readonly #tokens: KeptToken<Awaited<ReturnType<typeof signToken>>>;
  readonly #connection: ApnsConnection;

  constructor(options: ApnsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#tokens = new KeptToken(clock, () => signToken(options, clock));
    this.#connection = new ApnsConnection({
      origin: options.endpoint,
      timeoutMs: options.timeoutMs ?? PUSH_TIMEOUT_MS,
      ca: options.ca,
    });
  }

  call({ token, headers, body }: PushMessage, signal: AbortSignal): Promise<Accepted> {
    return this.#post(token, { "apns-topic": this.#options.bundleId, ...headers }, body, signal);
  }

  async check(): Promise<void> {
    const headers = { "apns-id": randomUUID(), "apns-push-type": "alert", "apns-topic": this.#options.bundleId };
    await this.#post(UNUSED_TOKEN, headers, JSON.stringify({ aps: { alert: "prism" } })).catch(unlessUnusedToken);
  }

  close(): void {
    this.#connection.close();
  }

  async #post(
    token: string,
    headers: Readonly<Record<string, string>>,
    payload: string,
    signal?: AbortSignal,
  ): Promise<Accepted> {
    const postAs = (bearer: string): Promise<ApnsReply> =>
      this.#connection.post(
        { ":method": "POST", ":path": `/3/device/${token}`, authorization: `bearer ${bearer}`, ...headers },
        payload,
        signal,
      );
    const { token: bearer } = await this.#tokens.get();
    const reply = await postAs(bearer);
    if (reply.status !== 403 || refusalOf(reply.text)?.reason !== "ExpiredProviderToken")
      return this.#answer(reply, token);
    const renewed = await this.#tokens.get(bearer);
    return this.#answer(await postAs(renewed.token), token);
  }

  #answer({ status, text, retryAfter }: ApnsReply, token: string): Accepted {
    // The apns-id is the delivery's own: Apple has no other name for it.
    if (status === 200) return {};
    const { reason, timestamp } = refusalOf(text) ?? { reason: "without a reason" };
    const said = `APNs answered ${status} ${reasonOf(reason, token)}`;
    if (status < 400 || status === 429 || status >= 500)
      throw tryAgain(said, readRetryAfter(retryAfter, this.#clock.now()));
    if (BAD_TOKEN.has(`${status} ${reason}`))
      throw new TargetGone(said, timestamp === undefined ? {} : { since: timestamp });
    if (status === 401 || status === 403 || (status === 400 && BAD_SETTINGS.has(reason))) throw new ProviderDown(said);
    throw new PermanentError(said);
  }
}

function refusalOf(text: string): v.InferOutput<typeof Refusal> | undefined {
  try {
    return v.parse(Refusal, JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Apple refuses tokens older than an hour, and new ones more often than every twenty minutes. */
const RENEW_AFTER_MS = 40 * 60_000;

interface ApnsKeyOptions {
  /** Path of the key, as Apple gives it (.p8). */
  readonly keyFile: string;
  readonly keyId: string;
  readonly teamId: string;
}

/**
 * Signs a provider token
 * (https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns).
 * The key is read again for each, so that a changed file needs no restart. @throws ProviderDown
 * when the key cannot be used
 */
async function signToken({ keyFile, keyId, teamId }: ApnsKeyOptions, clock: Clock) {
  const key = await readApnsKey(keyFile);
  const token = await new SignJWT()
    .setProtectedHeader({ alg: "ES256", kid: keyId })
    .setIssuer(teamId)
    .setIssuedAt(Math.floor(clock.now() / 1000))
    .sign(key);
  return { token, renewAt: clock.elapsed() + RENEW_AFTER_MS };
}

/** @throws ProviderDown, saying what is wrong with the file and nothing of what it holds */
export async function readApnsKey(path: string): Promise<KeyObject> {
  const key = privateKeyOf(await readKeyFile("apns.keyFile", path));
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  throw new ProviderDown(`apns.keyFile (${path}) is not a key of Apple's: it must be an EC key on P-256 in PEM (.p8)`);
}
