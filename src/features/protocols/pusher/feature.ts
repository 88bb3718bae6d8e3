import { createHmac, hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { type Route, route, undescribed } from "../../../http/api/route.ts";
import { checkShape, parseJson, parseQuery } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Hub } from "../../../live/hub.ts";
import { cachedEntry, isCacheChannel, isPresenceChannel } from "../../../live/protocols/pusher/pusher-channel.ts";
import { MAX_DATA_BYTES } from "../../../live/protocols/pusher/pusher-message.ts";
import { PusherRegistry } from "../../../live/protocols/pusher/pusher-registry.ts";
import type { StreamEntry } from "../../../live/stream.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { PermanentError } from "../../time/jobs/index.ts";
import { pusherAuthRoutes, pusherUserAuthRoute } from "./auth-routes.ts";
import { ChannelAuthorizers } from "./channel-access.ts";
import { operatorRoutes } from "./operator-routes.ts";
import { openPusherApp, type PusherApp, type PusherContext } from "./pusher-app.ts";
import {
  type Attribute,
  BatchBody,
  type BatchEvent,
  type ChannelAttribute,
  ChannelParams,
  ChannelQuery,
  ChannelsQuery,
  TriggerBody,
} from "./schema.ts";
import { type TriggeredEvent, Triggers } from "./triggers.ts";
import { PusherWebhooks } from "./webhooks.ts";

/** The parts of a request that its signature is over. */
interface SignedParts {
  readonly method: string;
  readonly path: string;
  readonly queryText: string;
}

/** A request's clock may be this far from ours, either way. */
const MAX_SKEW_MS = 600_000;

/**
 * The one check of who calls the REST API of the Pusher protocol: `auth_signature` must be the
 * HMAC-SHA-256 of method, path and all other parameters, decoded and sorted (docs/pusher.md;
 * pusher.com/docs/channels/library_auth_reference/rest-api/#authentication). What the signature
 * does not cover is the body: that is `body_md5`'s, see {@link requireBody}. As at Pusher nothing
 * notes what was signed before: a reader of a request can send it again for as long as its
 * timestamp is good, so the API wants TLS.
 * @returns the parameters. @throws SIGNATURE_INVALID, and VALIDATION_FAILED when a parameter stands
 * twice or is not percent-encoded UTF-8
 */
export function requireSignature(
  { key, secret }: PusherApp,
  { method, path, queryText }: SignedParts,
  now: EpochMs,
): Readonly<Record<string, string>> {
  const query = parseQuery(queryText, { isStrict: true });
  const names = Object.keys(query).filter((name) => name !== "auth_signature");
  const pairs = names.sort().map((name) => `${name}=${query[name]}`);
  // Decoded, one parameter with an ampersand in it would read like two, and be signed like them.
  if (pairs.some((pair) => pair.includes("&")) || names.some((name) => name.includes("=")))
    throw signatureRefused("A parameter has an ampersand in it, or a name with an equals sign");
  const text = [method === "HEAD" ? "GET" : method, path, pairs.join("&")].join("\n");
  const expected = createHmac("sha256", secret).update(text).digest("hex");
  if (!secretsEqual(query["auth_signature"] ?? "", expected))
    throw signatureRefused("auth_signature is not that of this method, path and query");
  if (query["auth_key"] !== key) throw signatureRefused("auth_key is not the key of this app");
  if (query["auth_version"] !== "1.0") throw signatureRefused("auth_version must be 1.0");
  const timestamp = query["auth_timestamp"] ?? "";
  const isNumber = /^\d{1,12}$/.test(timestamp);
  if (!isNumber || Math.abs(now - Number(timestamp) * 1000) > MAX_SKEW_MS)
    throw signatureRefused("auth_timestamp must be within 600 seconds of the server's clock, in seconds since 1970");
  return query;
}

/** The body must be the one that was signed. @throws SIGNATURE_INVALID */
export function requireBody(query: Readonly<Record<string, string>>, body: Buffer): void {
  if (!secretsEqual(query["body_md5"] ?? "", hash("md5", body, "hex")))
    throw signatureRefused("body_md5 is not the MD5 of the body, in hex");
}

function signatureRefused(message: string): PrismError {
  return new PrismError("SIGNATURE_INVALID", message);
}

/** The requested attributes of a channel. */
type ChannelInfo = Partial<Record<Attribute, number>>;

/** Attributes of one channel; of one that is no presence channel there are no members to count. */
function channelInfo(registry: PusherRegistry, channel: string, attributes: readonly ChannelAttribute[]): ChannelInfo {
  const info: ChannelInfo = {};
  if (attributes.includes("user_count") && isPresenceChannel(channel))
    info.user_count = registry.members(channel).length;
  if (attributes.includes("subscription_count")) info.subscription_count = registry.subscriptionCount(channel);
  return info;
}

/** The same of several channels, by name, in an object that takes any. */
function channelInfos(
  registry: PusherRegistry,
  channels: Iterable<string>,
  attributes: readonly Attribute[],
): Record<string, ChannelInfo> {
  return Object.fromEntries([...channels].map((channel) => [channel, channelInfo(registry, channel, attributes)]));
}

/**
 * The last event of a cache channel, and for how many seconds more it is sent to new subscribers:
 * null where there is none. @throws VALIDATION_FAILED for a channel that is no cache channel
 */
function cachedInfo(hub: Hub, channel: string, ttlMs: number, now: number) {
  if (!isCacheChannel(channel))
    throw new PrismError("VALIDATION_FAILED", "Only cache channels have a last event: their names begin with cache-");
  const entry = cachedEntry(hub, channel, now - ttlMs);
  return entry ? { data: textOf(entry), ttl: Math.ceil((entry.at + ttlMs - now) / 1000) } : null;
}

/** The log has an event's text as a JSON string; of what a module publishes it has the value. */
function textOf({ data }: StreamEntry): string {
  const value: unknown = JSON.parse(data);
  return typeof value === "string" ? value : data;
}

/** Pusher counts members of presence channels only. @throws VALIDATION_FAILED */
function requirePresence(name: string): void {
  if (!isPresenceChannel(name))
    throw new PrismError("VALIDATION_FAILED", "Only presence channels have members: their names begin with presence-");
}

const PATH = "/apps/:appId";
/** Ten events of the largest data; each byte may be an escape of six. */
const MAX_BODY_BYTES = 1_048_576;
/** How often it is looked whether all sockets are closed, while the server stops. */
const CLOSING_EVERY_MS = 20;
/** Raw, for the bytes are what is signed. */
const BODY = { raw: { types: ["application/json"], gzip: false }, maxBodyBytes: MAX_BODY_BYTES } as const;

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly pusher: PusherApp;
    /** Members of the channels of the embedded Pusher server; empty with `pusher.mode` remote. */
    readonly pusherRegistry: PusherRegistry;
    /** Decisions of modules about subscriptions to Pusher channels. */
    readonly channelAuthorizers: ChannelAuthorizers;
  }
}

/** For a core that cannot read the secret. */
const NO_APP: PusherApp = { appId: "", key: "", secret: "" };

/**
 * The REST API of the embedded Pusher server: any server library for Pusher Channels
 * triggers events here and asks who is there. A protocol of its own, with its own signature in
 * place of credentials. With `pusher.mode` remote all of this is Pusher's, and not here.
 */
export const pusherFeature = feature("pusher", {
  needs: [],
  uses: ["projects", "realtime", "modules", "outside"],
  open: async (core) => ({
    pusher: core.readsOnly ? NO_APP : await openPusherApp(core),
    pusherRegistry: new PusherRegistry(),
    channelAuthorizers: new ChannelAuthorizers(core.log.namespace("realtime")),
  }),
  register(server, context) {
    for (const each of operatorRoutes(context)) server.route(each);
    serve(server, context);
  },
});

function serve(server: FeatureServer, context: PusherContext): void {
  // With `pusher.mode` remote these sign for the server of Pusher's own.
  for (const each of [...pusherAuthRoutes(context), pusherUserAuthRoute(context)]) server.route(each);
  if (context.config.pusher.mode !== "embedded") return;
  const routes = [...triggerRoutes(context), ...channelRoutes(context), ...userRoutes(context)];
  for (const each of routes) server.route(each);
  if (context.config.pusher.webhooks.urls.length > 0) serveWebhooks(context);
}

function serveWebhooks(context: PusherContext): void {
  const { pusherRegistry, connections, events, config, modules } = context;
  const outside = context.outside({ limits: { answerMs: WEBHOOK_TIMEOUT_MS } });
  const webhooks = new PusherWebhooks({
    ...context,
    scheduler: modules.own("pusher").scheduler,
    callWebhook: (url, request) =>
      outside.request(url, request).catch((error: unknown) => {
        // A refused URL stays one.
        throw error instanceof PrismError ? new PermanentError(error.message, { cause: error }) : error;
      }),
  });
  pusherRegistry.observe((happening) => webhooks.note(happening));
  events.on("system:stopping", async () => {
    const endAt = performance.now() + config.shutdownMs;
    while (connections.counts.pusher > 0 && performance.now() < endAt) await delay(CLOSING_EVERY_MS);
    await webhooks.close();
  });
}

/** As at Pusher. */
const WEBHOOK_TIMEOUT_MS = 4000;

/** Common options of all of the routes. */
function commonOf({ pusher, clock }: PusherContext) {
  const signer = (exchange: Exchange): string => {
    const { appId, key } = pusher;
    if (exchange.params["appId"] !== appId) throw new PrismError("NOT_FOUND", "No such Pusher app");
    requireSignature(pusher, exchange, clock.now());
    return `pusher:${key}`;
  };
  const errors = ["SIGNATURE_INVALID", "NOT_FOUND", "VALIDATION_FAILED"] as const;
  return { tag: "Pusher", access: { signer }, undocumented: true, response: undescribed, errors } as const;
}

function triggerRoutes(context: PusherContext): Route[] {
  const { storage, pusherRegistry } = context;
  const triggers = new Triggers(context);
  const common = { ...commonOf(context), ...BODY, method: "POST" } as const;

  const trigger = async (events: readonly TriggeredEvent[]): Promise<void> => {
    if (events.some(({ data }) => Buffer.byteLength(data) > MAX_DATA_BYTES))
      throw new PrismError("PAYLOAD_TOO_LARGE", `The data of an event is larger than ${MAX_DATA_BYTES} bytes`);
    storage.requireSpace();
    await triggers.add(events);
  };

  return [
    route({
      ...common,
      path: `${PATH}/events`,
      summary: "Trigger an event on up to a hundred channels",
      body: TriggerBody,
      async handle(exchange, { body }) {
        const { name, data, socket_id: socketId, info, channel, channels } = signedBody(TriggerBody, exchange, body);
        const named = [...new Set(channels ?? [channel ?? ""])];
        await trigger(named.map((each) => ({ channel: each, name, data, socketId })));
        return info ? { channels: channelInfos(pusherRegistry, named, info) } : {};
      },
    }),
    route({
      ...common,
      path: `${PATH}/batch_events`,
      summary: "Trigger up to ten events, each on its channel",
      body: BatchBody,
      async handle(exchange, { body }) {
        const { batch } = signedBody(BatchBody, exchange, body);
        await trigger(batch.map(({ channel, name, data, socket_id: socketId }) => ({ channel, name, data, socketId })));
        if (!batch.some(({ info }) => info)) return {};
        const infoOf = ({ channel, info }: BatchEvent) => channelInfo(pusherRegistry, channel, info ?? []);
        return { batch: batch.map(infoOf) };
      },
    }),
  ];
}

function channelRoutes(context: PusherContext): Route[] {
  const { pusherRegistry: registry, hub } = context;
  const { cacheTtlMs } = context.config.pusher;
  const common = { ...commonOf(context), method: "GET" } as const;
  return [
    route({
      ...common,
      path: `${PATH}/channels`,
      summary: "List channels with subscribers",
      query: ChannelsQuery,
      handle(_exchange, { query: { filter_by_prefix: prefix, info } }) {
        if (info.includes("user_count")) requirePresence(prefix);
        return { channels: channelInfos(registry, registry.occupied(prefix), info) };
      },
    }),
    route({
      ...common,
      path: `${PATH}/channels/:name`,
      summary: "Check whether a channel has subscribers",
      params: ChannelParams,
      query: ChannelQuery,
      handle(_exchange, { params: { name }, query: { info } }) {
        if (info.includes("user_count")) requirePresence(name);
        const cache = info.includes("cache") ? { cache: cachedInfo(hub, name, cacheTtlMs, context.clock.now()) } : {};
        return { occupied: registry.subscriptionCount(name) > 0, ...channelInfo(registry, name, info), ...cache };
      },
    }),
    route({
      ...common,
      path: `${PATH}/channels/:name/users`,
      summary: "The members of a presence channel",
      params: ChannelParams,
      handle(_exchange, { params: { name } }) {
        requirePresence(name);
        return { users: registry.members(name).map(({ user_id: id }) => ({ id })) };
      },
    }),
  ];
}

function userRoutes(context: PusherContext): Route[] {
  const { pusherRegistry } = context;
  return [
    route({
      ...commonOf(context),
      ...BODY,
      method: "POST",
      path: `${PATH}/users/:id/terminate_connections`,
      summary: "End the connections of a user",
      params: v.object({ appId: v.string(), id: v.string() }),
      body: v.object({}),
      handle(exchange, { params: { id }, body }) {
        signedBody(v.object({}), exchange, body);
        for (const socket of pusherRegistry.socketsOf(id)) socket.terminate();
        return {};
      },
    }),
  ];
}

/**
 * The body of a signed request, which is raw: its bytes are signed. @throws SIGNATURE_INVALID,
 * MALFORMED_JSON, VALIDATION_FAILED
 */
function signedBody<T>(shape: v.GenericSchema<unknown, T>, exchange: Exchange, body: unknown): T {
  const bytes = body as Buffer;
  requireBody(parseQuery(exchange.queryText, { isStrict: true }), bytes);
  return checkShape(shape, parseJson(bytes, { exchange }), "body");
}
