import type { Scope } from "../../helpers/scope.ts";
import type { Now, Receiver } from "./receiver.ts";
import * as r from "./receivers.ts";
import type { Caller } from "./site.ts";

/* The ways of a page, each with a target of its own. */

export const WAY_NAMES = [
  "webhook",
  "webhook-alertmanager",
  "channel-http",
  "channel-chat",
  "own-channel",
  "own-channel-low",
  "own-webhook",
  "mail",
  "fcm",
  "apns",
  "webpush",
  "pusher",
] as const;
export type WayName = (typeof WAY_NAMES)[number];

/** What a step of a policy is made of. */
interface StepTools {
  readonly url: string;
  /** @returns the step of a new channel of the project. */
  channel(preset: string, fields: object): Promise<object>;
}

interface Definition {
  /** Opens the target. */
  readonly open: (scope: Scope, now: Now) => Promise<Opened>;
  /** The step of a policy; without it the way belongs to a person. */
  readonly step?: (tools: StepTools) => object | Promise<object>;
  /** The name of the way in contact rules. */
  readonly contact?: "in_app" | "push" | "email" | "webhook" | "service";
  readonly urgency?: "low";
  /** The protocol, or our client of it, has no Retry-After. */
  readonly namesNoTime?: true;
  /** A 429 without Retry-After means this time to its documentation. */
  readonly quotaMs?: number;
  /** The channel of its deliveries. */
  readonly channel?: string;
}

interface Opened {
  readonly receiver: Receiver;
  readonly settings?: r.Settings;
  /** Makes the target one of the caller's. */
  readonly place?: (person: Caller) => Promise<unknown>;
}

export type OpenWay = Omit<Definition, "open"> & Opened & { readonly name: WayName };

const CHAT = { token: "a".repeat(26), channel: "z".repeat(26) };

const ownChannel = async (scope: Scope, now: Now): Promise<Opened> => {
  const receiver = await r.serviceReceiver(scope, now);
  const channel = { name: "own", preset: "http", fields: { url: receiver.url } };
  return { receiver, place: (person) => person.call("POST", "/channels", channel) };
};

const DEFINITIONS: Readonly<Record<WayName, Definition>> = {
  webhook: {
    open: async (...given) => ({ receiver: await r.webhookReceiver(...given) }),
    step: ({ url }) => ({ type: "webhook", url }),
  },
  "webhook-alertmanager": {
    open: async (...given) => ({ receiver: await r.webhookReceiver(...given) }),
    step: ({ url }) => ({ type: "webhook", url, format: "alertmanager" }),
  },
  "channel-http": {
    open: async (...given) => ({ receiver: await r.serviceReceiver(...given) }),
    step: ({ url, channel }) => channel("http", { url }),
  },
  "channel-chat": {
    open: async (...given) => ({ receiver: await r.chatReceiver(...given) }),
    step: ({ url, channel }) => channel("mattermost-api", { url, ...CHAT }),
    quotaMs: 60_000,
  },
  "own-channel": { open: ownChannel, contact: "service", channel: "service" },
  "own-channel-low": { open: ownChannel, contact: "service", channel: "service", urgency: "low" },
  "own-webhook": {
    open: async (...given) => {
      const receiver = await r.webhookReceiver(...given);
      return { receiver, place: (person) => person.call("POST", "/webhooks", { url: receiver.url }) };
    },
    contact: "webhook",
    channel: "webhook",
  },
  mail: { open: r.mailReceiver, contact: "email", channel: "email", namesNoTime: true },
  fcm: {
    open: async (...given) => ({
      ...(await r.fcmReceiver(...given)),
      place: (person) => person.call("PUT", "/users/me/push-tokens", { fcm: "registration:token" }),
    }),
    contact: "push",
    channel: "fcm",
    quotaMs: 60_000,
  },
  apns: {
    open: async (...given) => ({
      ...(await r.apnsReceiver(...given)),
      place: (person) => person.call("PUT", "/users/me/push-tokens", { apns: "ab".repeat(32) }),
    }),
    contact: "push",
    channel: "apns",
  },
  webpush: {
    open: async (...given) => {
      const { receiver, subscription } = await r.browserReceiver(...given);
      return {
        receiver,
        place: (person) => person.call("POST", "/users/me/push-subscriptions", subscription()),
      };
    },
    contact: "push",
    channel: "webpush",
  },
  pusher: { open: r.pusherReceiver, contact: "in_app", channel: "pusher", namesNoTime: true },
};

export async function openWays(scope: Scope, now: Now, names: readonly WayName[]): Promise<OpenWay[]> {
  const ways: OpenWay[] = [];
  for (const name of names) {
    const { open, ...definition } = DEFINITIONS[name];
    ways.push({ name, ...definition, ...(await open(scope, now)) });
  }
  return ways;
}
