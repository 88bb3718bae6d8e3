import { randomUUID } from "node:crypto";
import * as v from "valibot";
import type { Config } from "../../../../config/load.ts";
import type { Clock } from "../../../../core/clock.ts";
import { PermanentError } from "../../../jobs/index.ts";
import { readRetryAfter } from "../../retry-after.ts";
import { ProviderDown } from "../../sender.ts";
import { ApnsConnection, type ApnsReply } from "./apns-connection.ts";
import { type ApnsKeyOptions, ApnsTokens } from "./apns-tokens.ts";
import { PUSH_TIMEOUT_MS, type PushAnswer, type PushClient, type PushMessage } from "./push-client.ts";
import { reasonOf, tryAgain } from "./push-failure.ts";

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
const NOBODY = "0".repeat(64);

/** What Apple says of a token that is no good, by status. */
const BAD_TOKEN = new Set(["400 BadDeviceToken", "400 DeviceTokenNotForTopic", "410 Unregistered", "410 ExpiredToken"]);
/** Refused with 400, and not because of this message. */
const BAD_SETTINGS = new Set(["BadTopic", "TopicDisallowed", "MissingTopic"]);

/** What Apple says of a refusal (https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns). */
const Refusal = v.object({ reason: v.string(), timestamp: v.optional(v.number()) });

/** Apple's push service, with tokens in place of certificates. */
export class ApnsClient implements PushClient {
  readonly #options: ApnsOptions;
  readonly #clock: Clock;
  readonly #tokens: ApnsTokens;
  readonly #connection: ApnsConnection;

  constructor(options: ApnsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#tokens = new ApnsTokens(options, clock);
    this.#connection = new ApnsConnection({
      origin: options.endpoint,
      timeoutMs: options.timeoutMs ?? PUSH_TIMEOUT_MS,
      ca: options.ca,
    });
  }

  send({ token, headers, body }: PushMessage, signal: AbortSignal): Promise<PushAnswer> {
    return this.#post(token, { "apns-topic": this.#options.bundleId, ...headers }, body, signal);
  }

  async check(): Promise<void> {
    const headers = { "apns-id": randomUUID(), "apns-push-type": "alert", "apns-topic": this.#options.bundleId };
    // That nobody has the token is the answer of a provider that takes everything else.
    await this.#post(NOBODY, headers, JSON.stringify({ aps: { alert: "prism" } }));
  }

  close(): void {
    this.#connection.close();
  }

  async #post(
    token: string,
    headers: Readonly<Record<string, string>>,
    payload: string,
    signal?: AbortSignal,
  ): Promise<PushAnswer> {
    const postAs = (bearer: string): Promise<ApnsReply> =>
      this.#connection.post(
        { ":method": "POST", ":path": `/3/device/${token}`, authorization: `bearer ${bearer}`, ...headers },
        payload,
        signal,
      );
    const bearer = await this.#tokens.get();
    const reply = await postAs(bearer);
    if (reply.status !== 403 || refusalOf(reply.text)?.reason !== "ExpiredProviderToken")
      return this.#answer(reply, token);
    return this.#answer(await postAs(await this.#tokens.get(bearer)), token);
  }

  #answer({ status, text, retryAfter }: ApnsReply, token: string): PushAnswer {
    // The apns-id is the delivery's own: Apple has no other name for it.
    if (status === 200) return { kind: "accepted" };
    const { reason, timestamp } = refusalOf(text) ?? { reason: "without a reason" };
    const said = `APNs answered ${status} ${reasonOf(reason, token)}`;
    if (status < 400 || status === 429 || status >= 500)
      throw tryAgain(said, readRetryAfter(retryAfter, this.#clock.now()));
    if (BAD_TOKEN.has(`${status} ${reason}`))
      return { kind: "bad-token", reason: said, ...(timestamp === undefined ? {} : { since: timestamp }) };
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
