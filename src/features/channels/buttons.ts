import { createHmac } from "node:crypto";
import * as v from "valibot";
import type { Config } from "../../config/load.ts";
import { signing } from "../../core/crypto/hmac.ts";
import { secretsEqual } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { cleanText } from "../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import { ANSWERS_LATER, type Route, route } from "../../http/api/route.ts";
import { doc, object } from "../../http/api/shapes.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { ChannelRow } from "./channel.ts";
import { withApi } from "./sending/request.ts";
import type { ChannelsContext } from "./sending/sender.ts";
import { findChannel, openFields, type Texts } from "./store.ts";
import { cutTo } from "./templates/template.ts";

/* Buttons in messages of incidents: services report a press at `/hooks/channels/<id>/<service>`. */

/** A Slack message with 50 blocks and its channel is far smaller. */
const MAX_BODY_BYTES = 262_144;
/** As the link that acknowledges. */
const TOKEN_MS = 7 * DAY_MS;
const MAX_AGE_S = 300;
const MAX_NAME = 60;
const ID_BYTES = 16;
const MAC_BYTES = 12;
const TOKEN_BYTES = 2 * ID_BYTES + 4 + MAC_BYTES;

type SigningConfig = Pick<Config, "secrets">;

interface Button {
  readonly channelId: string;
  readonly incidentId: string;
}

/** Acknowledges one incident. Its 64 characters fill `callback_data` of Telegram. */
export function buttonToken(config: SigningConfig, { channelId, incidentId }: Button, now: EpochMs): string {
  const until = Buffer.alloc(4);
  until.writeUInt32BE(Math.floor((now + TOKEN_MS) / 1000));
  const bytes = Buffer.concat([bytesOf(channelId), bytesOf(incidentId), until]);
  return Buffer.concat([bytes, macOf(config, bytes)]).toString("base64url");
}

/** @throws TOKEN_INVALID, TOKEN_EXPIRED */
function readButtonToken(config: SigningConfig, token: string, now: EpochMs): Button {
  const bytes = Buffer.from(token, "base64url");
  const signed = bytes.subarray(0, TOKEN_BYTES - MAC_BYTES);
  const mac = bytes.subarray(TOKEN_BYTES - MAC_BYTES).toString("base64url");
  if (bytes.length !== TOKEN_BYTES || !secretsEqual(mac, macOf(config, signed).toString("base64url")))
    throw new PrismError("TOKEN_INVALID", "The token was not signed by this server");
  if (signed.readUInt32BE(2 * ID_BYTES) * 1000 <= now)
    throw new PrismError("TOKEN_EXPIRED", "The button has expired; open the incident instead");
  return { channelId: uuidAt(signed, 0), incidentId: uuidAt(signed, ID_BYTES) };
}

function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}

function uuidAt(bytes: Buffer, at: number): string {
  const hex = bytes.toString("hex", at, at + ID_BYTES);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The key has no other use. */
function macOf({ secrets }: SigningConfig, bytes: Buffer): Buffer {
  return signing(secrets, "prism channel buttons").update(bytes).digest().subarray(0, MAC_BYTES);
}

interface HookRequest {
  readonly bytes: Buffer;
  readonly token: string;
  readonly now: EpochMs;
  header(name: string): string;
}

interface Press {
  readonly token: string;
  readonly name: string | undefined;
  /** The body of the answer. */
  answer(text: string): object | "";
  /** URL that shows a text to the reader who pressed. */
  readonly replyUrl?: string | undefined;
  /** The service repeats a request that is refused, so a bad token is answered as text. */
  readonly isRepeated?: true;
}

/** Reads a request. @returns null: it is no press of the button. @throws SIGNATURE_INVALID */
type ReadPress = (request: HookRequest, fields: Texts) => Press | null;

const noBody = (): "" => "";

/** https://developers.mattermost.com/integrate/plugins/interactive-messages/ */
const pressOfMattermost: ReadPress = ({ bytes }) => {
  const { user_name: name, context } = read(MattermostPress, jsonOf(bytes.toString())) ?? {};
  return { token: context?.token ?? "", name, answer: (text) => ({ ephemeral_text: text }) };
};

/** https://docs.slack.dev/authentication/verifying-requests-from-slack */
const pressOfSlack: ReadPress = ({ bytes, now, header }, { signingSecret = "" }) => {
  const at = header("x-slack-request-timestamp");
  const signed = createHmac("sha256", signingSecret).update(`v0:${at}:`).update(bytes).digest("hex");
  const isRecent = /^\d{1,12}$/.test(at) && Math.abs(now / 1000 - Number(at)) <= MAX_AGE_S;
  if (signingSecret === "" || !isRecent || !secretsEqual(header("x-slack-signature"), `v0=${signed}`)) throw unsigned();
  const payload = new URLSearchParams(bytes.toString()).get("payload") ?? "";
  const { user, actions = [], response_url: replyUrl } = read(SlackPress, jsonOf(payload)) ?? {};
  const pressed = actions.find(({ action_id: id }) => id === "ack");
  return pressed ? { token: pressed.value ?? "", name: user?.username ?? user?.id, answer: noBody, replyUrl } : null;
};

/** https://core.telegram.org/bots/api#setwebhook */
const pressOfTelegram: ReadPress = ({ bytes, header }, { webhookSecret = "" }) => {
  const given = header("x-telegram-bot-api-secret-token");
  if (webhookSecret === "" || !secretsEqual(given, webhookSecret)) throw unsigned();
  const query = read(TelegramUpdate, jsonOf(bytes.toString()))?.callback_query;
  if (!query) return null;
  const answer = (text: string) => ({ method: "answerCallbackQuery", callback_query_id: query.id, text });
  const { username, first_name: first } = query.from;
  return { token: query.data ?? "", name: username ?? first, answer, isRepeated: true };
};

/** https://pushover.net/api/receipts#callback. The key of the user is a secret, the device's name is none. */
const pressOfPushover: ReadPress = ({ bytes, token }) => {
  const form = new URLSearchParams(bytes.toString());
  if (form.get("acknowledged") !== "1") return null;
  return { token, name: form.get("acknowledged_by_device") ?? undefined, answer: noBody };
};

const SERVICES = {
  mattermost: pressOfMattermost,
  slack: pressOfSlack,
  telegram: pressOfTelegram,
  pushover: pressOfPushover,
} as const satisfies Readonly<Record<string, ReadPress>>;

type ServiceName = keyof typeof SERVICES;

const MattermostPress = v.object({
  user_name: v.optional(v.string()),
  context: v.optional(v.object({ token: v.optional(v.string()) })),
});
const SlackPress = v.object({
  type: v.literal("block_actions"),
  user: v.optional(v.object({ id: v.optional(v.string()), username: v.optional(v.string()) })),
  actions: v.array(v.object({ action_id: v.string(), value: v.optional(v.string()) })),
  response_url: v.optional(v.string()),
});
const TelegramUpdate = v.object({
  callback_query: v.optional(
    v.object({
      id: v.string(),
      data: v.optional(v.string()),
      from: v.object({ username: v.optional(v.string()), first_name: v.optional(v.string()) }),
    }),
  ),
});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function read<T>(shape: v.GenericSchema<unknown, T>, value: unknown): T | undefined {
  const result = v.safeParse(shape, value);
  return result.success ? result.output : undefined;
}

function unsigned(): PrismError {
  return new PrismError("SIGNATURE_INVALID", "The request is not signed with the secret of this channel, or is old");
}

export interface ButtonsContext extends Pick<ChannelsContext, "db" | "clock" | "log" | "box" | "sender" | "settings"> {
  /** @param via who pressed, such as `slack:anna` */
  readonly acknowledgeIncident: (incidentId: string, channelId: string, via: string) => Promise<unknown>;
}

/** The URLs at which services report a press. */
export function buttonRoutes(context: ButtonsContext): Route[] {
  return [
    route({
      method: "POST",
      path: "/hooks/channels/:id/:service",
      summary: "A press of a button in a message of a channel",
      tag: "Channels",
      // The request or its token is signed.
      access: "public",
      params: object({ id: v.string(), service: v.string() }),
      query: object({ token: v.optional(doc(v.pipe(v.string(), v.maxLength(100)), "Token of the button")) }),
      body: v.unknown(),
      raw: { types: ["application/json", "application/x-www-form-urlencoded"], gzip: false, exact: true },
      maxBodyBytes: MAX_BODY_BYTES,
      quiet: true,
      undocumented: true,
      async handle(exchange, { params, query, body }) {
        // The bytes are only valid until the first await.
        const bytes = Buffer.from((body as unknown as Uint8Array | undefined) ?? []);
        const { token = "" } = query;
        const request = { bytes, token, now: context.clock.now(), header: (name: string) => exchange.header(name) };
        return send(exchange, await takePress(context, params.id, params.service, request));
      },
    }),
  ];
}

function send(exchange: Exchange, answer: object | ""): typeof ANSWERS_LATER {
  const body = answer === "" ? "" : JSON.stringify(answer);
  const type = answer === "" ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
  exchange.send(200, body, { "Content-Type": type, "Cache-Control": "no-store" });
  return ANSWERS_LATER;
}

/** @throws CHANNEL_NOT_FOUND, SIGNATURE_INVALID, TOKEN_INVALID, TOKEN_EXPIRED */
async function takePress(
  context: ButtonsContext,
  channelId: string,
  service: string,
  request: HookRequest,
): Promise<object | ""> {
  const channel = isUuid(channelId) ? await findChannel(context.db.read, channelId) : undefined;
  if (!isService(service) || !channel || serviceOf(channel) !== service || !takesPresses(channel))
    throw new PrismError("CHANNEL_NOT_FOUND", "No such channel, or it has no buttons");
  const fields = openFields(context.box, channel);
  const press = SERVICES[service](request, fields);
  if (!press) return "";
  try {
    const text = await acknowledge(context, channel, service, press);
    if (press.replyUrl !== undefined) reply(context, press.replyUrl, text, fields);
    return press.answer(text);
  } catch (error) {
    if (press.isRepeated && error instanceof PrismError) return press.answer(error.message);
    throw error;
  }
}

const REPLY_URL = /^https:\/\/hooks\.slack(?:-gov)?\.com\/actions\//;

/**
 * Shows a text to the reader who pressed, without delaying the answer that Slack waits for.
 * https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
 */
function reply({ sender, log }: ButtonsContext, url: string, text: string, { api }: Texts): void {
  if (!REPLY_URL.test(url) || !URL.canParse(url)) return;
  const body = Buffer.from(JSON.stringify({ response_type: "ephemeral", replace_original: false, text }));
  const headers = { "User-Agent": "Prism", "Content-Type": "application/json; charset=utf-8" };
  // The URL is a credential, which an error may name.
  sender.fetch
    .request(withApi(new URL(url), api).href, { method: "POST", headers, body })
    .catch(() => log.debug({}, "Slack refused the answer to a button"));
}

function isService(name: string): name is ServiceName {
  return Object.hasOwn(SERVICES, name);
}

function serviceOf({ preset }: ChannelRow): string {
  return preset.replace(/-api$/, "");
}

function takesPresses({ active, acknowledgeLink, projectId }: ChannelRow): boolean {
  return active === 1 && acknowledgeLink === 1 && projectId !== null;
}

/** A second press, or one after the end, changes nothing. @throws TOKEN_INVALID, TOKEN_EXPIRED */
async function acknowledge(
  { db, clock, settings, acknowledgeIncident }: ButtonsContext,
  channel: ChannelRow,
  service: ServiceName,
  { token, name }: Press,
): Promise<string> {
  const { channelId, incidentId } = readButtonToken(settings.current, token, clock.now());
  // An app of Slack and a bot of Telegram have one URL for all their channels.
  const shown = channelId === channel.id ? channel : await findChannel(db.read, channelId);
  const incident = await db.read
    .selectFrom("incidents")
    .select(["projectId", "state", "number"])
    .where("id", "=", incidentId)
    .executeTakeFirst();
  const isSame = shown && takesPresses(shown) && serviceOf(shown) === service && shown.projectId === channel.projectId;
  if (!isSame || incident?.projectId !== channel.projectId)
    throw new PrismError("TOKEN_INVALID", "The button does not belong to this channel");
  if (incident.state !== "open") return `Incident ${incident.number} is ${incident.state} already`;
  await acknowledgeIncident(incidentId, channelId, viaOf(service, name));
  return `You have acknowledged incident ${incident.number}`;
}

function viaOf(service: ServiceName, name: string | undefined): string {
  const shown = cutTo(cleanText(name ?? ""), MAX_NAME, "codepoints");
  return shown === "" ? service : `${service}:${shown}`;
}
