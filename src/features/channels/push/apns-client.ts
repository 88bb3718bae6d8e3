import { type KeyObject, randomUUID } from "node:crypto";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { SignJWT } from "jose";
import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { unlessAborted } from "../../../core/promises.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { CALL_LIMITS, type CallLimits, connectTo, httpLimitsOf, late, named } from "../../delivery/calls/connect.ts";
import { type Accepted, type ChannelCalls, ProviderDown, readRetryAfter, TargetGone } from "../../delivery/channel.ts";
import { PermanentError } from "../../time/jobs/index.ts";
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

/** A connection idle for this long may be dead: the next message opens another one. */
const IDLE_MS = 5 * 60_000;
/** Error code of a stream that the server has not processed (RFC 9113 section 7). */
const REFUSED_STREAM = 7;

interface ApnsConnectionOptions {
  /** https, or http for HTTP/2 without TLS. */
  readonly origin: string;
  /** For the whole exchange, including the last byte of the answer. */
  readonly timeoutMs: number;
  readonly limits: CallLimits;
  /** Additional trusted certificates, in PEM. */
  readonly ca?: string | undefined;
}

interface ApnsReply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** The server has not processed the request: it can be repeated at once. */
class Unprocessed extends Error {
  override readonly name = "Unprocessed";
}

/**
 * A persistent HTTP/2 connection to Apple (RFC 9113). After a GOAWAY or a timeout new requests open
 * another connection, and those in flight finish on the old one. A request that the server has
 * certainly not processed is repeated once.
 */
class ApnsConnection {
  readonly #options: ApnsConnectionOptions;
  readonly #open = new Set<ClientHttp2Session>();
  /** The socket of a closed session may still wait for Apple to close its side. */
  readonly #sockets = new Set<Socket>();
  #current: ClientHttp2Session | null = null;
  /** Requests that arrive meanwhile wait for the same connection. */
  #opening: Promise<ClientHttp2Session> | null = null;
  readonly #closing = new AbortController();

  constructor(options: ApnsConnectionOptions) {
    this.#options = options;
  }

  /** @throws network errors, or the signal's reason */
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
    this.#closing.abort(new Error("the server stops"));
    for (const session of this.#open) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #exchange(headers: OutgoingHttpHeaders, body: string, signal?: AbortSignal): Promise<ApnsReply> {
    signal?.throwIfAborted();
    const session = await (signal ? unlessAborted(this.#session(), signal) : this.#session());
    const timeout = AbortSignal.timeout(this.#options.timeoutMs);
    try {
      const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
      return await read(start(session, headers, either), body);
    } catch (error) {
      signal?.throwIfAborted();
      if (!timeout.aborted) throw error instanceof Unprocessed ? error : notReached("APNs", error);
      this.#retire(session);
      throw named("APNs", late("answer", this.#options.timeoutMs));
    }
  }

  async #session(): Promise<ClientHttp2Session> {
    this.#closing.signal.throwIfAborted();
    if (this.#current && !this.#current.closed && !this.#current.destroyed) return this.#current;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const { origin, ca, limits } = this.#options;
    const { signal } = this.#closing;
    const tls = { ca, alpn: ["h2"] };
    const socket = await connectTo(new URL(origin), limits, { tls, signal }).catch((error: unknown) => {
      throw named("APNs", error);
    });
    // Loaded with the first message: most servers never need it.
    const { connect } = await import("node:http2");
    signal.throwIfAborted();
    const session = connect(origin, { createConnection: () => socket });
    this.#current = session;
    this.#open.add(session);
    // Each request receives the error itself.
    session.on("error", () => undefined);
    session.on("goaway", () => this.#retire(session));
    session.on("close", () => this.#open.delete(session));
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    session.setTimeout(IDLE_MS, () => this.#retire(session));
    return session;
  }

  /** Accepts no more requests; closes after the last one in flight. */
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
    // RFC 9113 section 8.7: a refused stream was not processed, nor was one after the last stream
    // named by a GOAWAY.
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
  readonly limits?: CallLimits;
  /** Trusted certificates in place of the system's; in PEM. */
  readonly ca?: string;
}

const PRODUCTION = "https://api.push.apple.com";
const SANDBOX = "https://api.sandbox.push.apple.com";

/** @returns null when APNs is not configured. */
export function apnsOptionsOf(config: Config): ApnsOptions | null {
  const { apns, env } = config;
  const { keyFile, keyId, teamId, bundleId, production = env === "production" } = apns;
  if (keyFile === undefined || keyId === undefined || teamId === undefined || bundleId === undefined) return null;
  return {
    keyFile,
    keyId,
    teamId,
    bundleId,
    endpoint: apns.endpoint ?? (production ? PRODUCTION : SANDBOX),
    limits: httpLimitsOf(config),
  };
}

/** No device has this token. */
const UNUSED_TOKEN = "0".repeat(64);

/** Apple's answers for an invalid token, with their status. */
const BAD_TOKEN = new Set(["400 BadDeviceToken", "400 DeviceTokenNotForTopic", "410 Unregistered", "410 ExpiredToken"]);
/** Refusals with status 400 that do not concern this message. */
const BAD_SETTINGS = new Set(["BadTopic", "TopicDisallowed", "MissingTopic"]);

/**
 * Body of a refusal
 * (https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns).
 */
const Refusal = v.object({ reason: v.string(), timestamp: v.optional(v.number()) });

/** Apple's push service, with token-based authentication. */
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
      limits: options.limits ?? CALL_LIMITS,
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
    // The apns-id is the delivery's id: Apple assigns no other.
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

/** Apple refuses tokens older than an hour, and renewals within twenty minutes. */
const RENEW_AFTER_MS = 40 * 60_000;

interface ApnsKeyOptions {
  /** Path of the key file from Apple (.p8). */
  readonly keyFile: string;
  readonly keyId: string;
  readonly teamId: string;
}

/**
 * Signs a provider token
 * (https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns).
 * Reads the key each time, so that a changed file needs no restart. @throws ProviderDown when the
 * key cannot be used
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

/** @throws ProviderDown that names the problem without the file's content */
export async function readApnsKey(path: string): Promise<KeyObject> {
  const key = privateKeyOf(await readKeyFile("apns.keyFile", path));
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  throw new ProviderDown(`apns.keyFile (${path}) is not an Apple key: it must be an EC key on P-256 in PEM (.p8)`);
}
