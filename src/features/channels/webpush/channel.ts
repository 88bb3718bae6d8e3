import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import {
  type Accepted,
  type Answer,
  type Attempt,
  type ChannelCalls,
  type DeliveryChannel,
  readRetryAfter,
  TargetGone,
  type TargetSource,
  Throttled,
} from "../../delivery/channel.ts";
import { isDrillNotification } from "../../delivery/pages/people.ts";
import { PermanentError, RetryLater } from "../../time/jobs/index.ts";
import { type PushContext, PushDevices } from "../push/devices.ts";
import { parseJson } from "../push/http.ts";
import { asOutcome } from "../webhook/client.ts";
import type { SafeAnswer } from "../webhook/kept-connections.ts";
import type { SafeFetch } from "../webhook/safe-fetch.ts";
import { acknowledgeToken, DRILL_WAY, pushHeaders, pushPayload } from "./message.ts";
import type { PushRequest, PushSubscription } from "./sender.ts";

/** Posts encrypted messages to push services, to addresses checked by the `webhooks.*` settings. */
export class WebPushClient implements ChannelCalls<PushRequest> {
  readonly isConfigured = true;
  readonly #fetch: SafeFetch;
  readonly #clock: Clock;

  constructor(fetch: SafeFetch, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  async call(request: PushRequest, signal: AbortSignal): Promise<Accepted> {
    this.requireAccepted(await this.post(request, signal));
    return {};
  }

  /** @throws NoAnswer; PermanentError for a refused URL; the signal's reason */
  post({ url, headers, body }: PushRequest, signal?: AbortSignal): Promise<SafeAnswer> {
    const given = {
      method: "POST",
      headers,
      body: Buffer.from(body, "base64"),
      ...(signal ? { signal } : {}),
    } as const;
    return this.#fetch.request(url, given).catch((error: unknown) => {
      throw asOutcome(error);
    });
  }

  /** Reads a push service's answer (RFC 8030 section 5). @throws the error for an attempt */
  requireAccepted({ status, headers, body }: SafeAnswer): void {
    if (status >= 200 && status < 300) return;
    const answered = `the push service answered ${status}${reasonIn(body)}`;
    if (status === 404 || status === 410) throw new TargetGone(`${answered}: the subscription has ended`);
    const waitMs = readRetryAfter(headers["retry-after"], this.#clock.now());
    if (waitMs !== undefined && (status === 429 || status >= 500)) throw new Throttled(answered, waitMs);
    if (status === 429) throw new RetryLater(answered, 0);
    if (status >= 500) throw new Error(answered);
    if (status < 400) throw new PermanentError(`${answered}; redirects are not followed`);
    throw new PermanentError(`${answered}${HINTS.get(status) ?? ""}`);
  }
}

const REFUSED =
  ": it refuses this server's key or contact (VAPID); the browser must subscribe again, or set publicUrl or smtp.from";
const HINTS: ReadonlyMap<number, string> = new Map([
  [400, ": it refuses the request, or this server's key or contact (VAPID)"],
  [401, REFUSED],
  [403, REFUSED],
  [413, ": the message is too large"],
]);

/** Only a code, such as Apple's `BadJwtToken`: users choose the host, and may not read answers. */
function reasonIn(body: Buffer): string {
  const reason: unknown = Object(parseJson(body.toString())).reason;
  return typeof reason === "string" && /^[A-Za-z]{3,40}$/.test(reason) ? ` ${reason}` : "";
}

export interface WebPushContext extends PushContext, Uses<"config" | "webPush"> {}

/** Web Push to the browsers that a user has subscribed (RFC 8030, 8291, 8292). */
export function webPushChannel(
  context: WebPushContext,
  calls: ChannelCalls<PushRequest>,
): DeliveryChannel<PushRequest> {
  const devices = new PushDevices("webpush", context);
  return {
    name: "webpush",
    get isConfigured() {
      return context.webPush.isUsed;
    },
    perTargetCircuit: true,
    targets: (userIds, _notification, db) => devices.ofUsers(userIds, db),
    prepare: (attempt) => prepare(context, devices, attempt),
    call: (message, signal) => calls.call(message, signal),
    interpret: (attempt, answer) => interpret(devices, attempt, answer),
    sourceOf: (target) => sourceOf(devices, target),
    disable: (target, trx) => remove(context, target, trx),
    close: () => devices.close(),
  };
}

async function prepare(
  { config, clock, webPush }: WebPushContext,
  devices: PushDevices,
  attempt: Attempt,
): Promise<PushRequest> {
  const { delivery, notification } = attempt;
  const opened = await openSubscription(devices, delivery.target);
  if (!opened) throw new TargetGone("the browser's subscription has been removed");
  const now = clock.now();
  const isDrill = isDrillNotification(notification);
  const subscriptionId = isDrill ? DRILL_WAY + delivery.id : delivery.target;
  const token = acknowledgeToken(config, { subscriptionId, notificationId: notification.id }, now);
  const payload = pushPayload(attempt, token, isDrill ? "Confirm" : "Acknowledge");
  return webPush.request(opened.subscription, payload, pushHeaders(notification, now));
}

async function interpret(devices: PushDevices, { delivery }: Attempt, answer: Answer): Promise<Answer> {
  if (!("accepted" in answer)) return answer;
  const device = await devices.find(delivery.target);
  if (device) devices.noteUse(delivery.target, device.lastUsedAt);
  return answer;
}

async function sourceOf(devices: PushDevices, target: string): Promise<TargetSource | undefined> {
  // `prepare` reports a subscription that no key opens.
  const opened = await openSubscription(devices, target).catch(() => undefined);
  return opened && { host: new URL(opened.subscription.endpoint).host, owner: opened.userId };
}

/** @throws PermanentError when no configured key opens it */
export async function openSubscription(devices: PushDevices, id: string) {
  try {
    const device = await devices.open(id);
    return device && { ...device, subscription: JSON.parse(device.token) as PushSubscription };
  } catch (error) {
    throw error instanceof UnsealError ? new PermanentError(error.message, { cause: error }) : error;
  }
}

/** The end of a subscription is final: the browser subscribes again with another endpoint. */
async function remove({ log }: WebPushContext, target: string, trx: Trx): Promise<void> {
  const { numDeletedRows } = await trx.deleteFrom("push_devices").where("id", "=", target).executeTakeFirst();
  if (numDeletedRows > 0) log.info({ subscription: target }, "removing an expired subscription");
}
