import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { escapeHtml } from "../../../core/text/clean-text.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { ANSWERS_LATER, type Route, route } from "../../../http/api/route.ts";
import { doc, example, object } from "../../../http/api/shapes.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { DOCUMENT_HEADERS } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Database } from "../../../store/database.ts";
import type { Notifier } from "../../notifications/index.ts";
import { acknowledgeToken, DRILL_WAY, readAcknowledgeToken } from "../webpush/message.ts";

const ACKNOWLEDGE_PATH = "/account/acknowledge";
const MAX_BODY_BYTES = 1024;
/** Prefix that tells tokens of mails and channels from tokens of push messages. */
const MAIL = "mail-";
const CHANNEL = "channel-";

type LinkConfig = Pick<Config, "publicUrl" | "secrets">;

/**
 * A link that acknowledges a notification as its reader without a login, for seven days. GET shows a
 * page with a button and changes nothing, because programs that scan mails follow links. None
 * without a `publicUrl`.
 */
export function acknowledgeLink(
  config: LinkConfig,
  { userId, notificationId }: { readonly userId: string; readonly notificationId: string },
  now: EpochMs,
): string | undefined {
  return linkOf(config, { subscriptionId: MAIL + userId, notificationId }, now);
}

/** The same for an incident in a channel: every reader of the channel may use it. */
export function channelAcknowledgeLink(
  config: LinkConfig,
  { channelId, incidentId }: { readonly channelId: string; readonly incidentId: string },
  now: EpochMs,
): string | undefined {
  return linkOf(config, { subscriptionId: CHANNEL + channelId, notificationId: incidentId }, now);
}

/** A link that confirms that the message of a drill arrived by one way. */
export function drillLink(
  config: LinkConfig,
  { deliveryId, notificationId }: { readonly deliveryId: string; readonly notificationId: string },
  now: EpochMs,
): string | undefined {
  return linkOf(config, { subscriptionId: DRILL_WAY + deliveryId, notificationId }, now);
}

function linkOf(config: LinkConfig, of: Parameters<typeof acknowledgeToken>[1], now: EpochMs): string | undefined {
  if (config.publicUrl === undefined) return undefined;
  return `${config.publicUrl.replace(/\/+$/, "")}${ACKNOWLEDGE_PATH}?token=${acknowledgeToken(config, of, now)}`;
}

export interface AcknowledgeContext extends Uses<"db" | "clock" | "config"> {
  readonly notify: Pick<Notifier, "acknowledge">;
  /** Acknowledges an incident as a reader of a channel. @throws INCIDENT_NOT_FOUND */
  readonly acknowledgeIncident: (incidentId: string, channelId: string) => Promise<unknown>;
  /** Confirms a way of a drill; once more changes nothing. @throws TOKEN_INVALID if it, or its person, is gone */
  readonly confirmDrill: (deliveryId: string) => Promise<unknown>;
}

/** The page of the link, and its button. */
export function acknowledgeRoutes(context: AcknowledgeContext): Route[] {
  const query = object({ token: v.optional(doc(v.pipe(v.string(), v.maxLength(300)), "Token of the link")) });
  const common = { path: ACKNOWLEDGE_PATH, tag: "Notifications", access: "public", query } as const;
  const response = { contentType: "text/html", description: "A page with the result" } as const;
  return [
    route({
      ...common,
      method: "GET",
      summary: "The page of an acknowledge link",
      undocumented: true,
      response,
      handle: (exchange, given) => answerAny(exchange, askPage(context, given.query.token ?? "")),
    }),
    route({
      ...common,
      method: "POST",
      id: "acknowledgeByMail",
      summary: "Acknowledge a notification or an incident by the signed link of a mail or a channel",
      details: "The button of the page at the same address.",
      body: example(v.object({ acknowledge: doc(v.literal("yes"), "What the button sends") }), { acknowledge: "yes" }),
      raw: { types: ["application/x-www-form-urlencoded"], gzip: false },
      maxBodyBytes: MAX_BODY_BYTES,
      response,
      errors: ["TOKEN_INVALID", "TOKEN_EXPIRED", "NOTIFICATION_NOT_FOUND"],
      async handle(exchange, given) {
        const token = given.query.token ?? "";
        const isPressed = isClick(given.body as unknown as Uint8Array);
        return answer(exchange, 200, await (isPressed ? acknowledge(context, token) : askPage(context, token)));
      },
    }),
  ];
}

/** A program that only follows links does not send this body. */
function isClick(body: Uint8Array): boolean {
  return new URLSearchParams(Buffer.from(body).toString()).get("acknowledge") === "yes";
}

/** @throws TOKEN_INVALID, TOKEN_EXPIRED, NOTIFICATION_NOT_FOUND */
async function askPage(context: AcknowledgeContext, token: string): Promise<string> {
  const title = await titleOf(context, token);
  if (title === undefined) throw new PrismError("NOTIFICATION_NOT_FOUND", "The notification no longer exists");
  const verb = isDrillToken(context, token) ? "Confirm" : "Acknowledge";
  return page(
    `${verb}?`,
    `<p>${escapeHtml(title)}</p>
<form method="post"><button name="acknowledge" value="yes">${verb}</button></form>`,
  );
}

function isDrillToken({ config, clock }: AcknowledgeContext, token: string): boolean {
  return readAcknowledgeToken(config, token, clock.now()).subscriptionId.startsWith(DRILL_WAY);
}

/** @throws TOKEN_INVALID, TOKEN_EXPIRED */
async function titleOf({ config, clock, db }: AcknowledgeContext, token: string): Promise<string | undefined> {
  const { subscriptionId, notificationId } = readAcknowledgeToken(config, token, clock.now());
  if (subscriptionId.startsWith(CHANNEL))
    return (await incidentOf(db, subscriptionId.slice(CHANNEL.length), notificationId))?.title;
  const row = await db.read
    .selectFrom("notifications")
    .select("title")
    .where("id", "=", notificationId)
    .executeTakeFirst();
  return row?.title;
}

/** @throws TOKEN_INVALID, also for a disabled account; TOKEN_EXPIRED, NOTIFICATION_NOT_FOUND */
async function acknowledge(context: AcknowledgeContext, token: string): Promise<string> {
  const { config, clock, db, notify } = context;
  const { subscriptionId, notificationId } = readAcknowledgeToken(config, token, clock.now());
  if (subscriptionId.startsWith(CHANNEL))
    return acknowledgeInChannel(context, subscriptionId.slice(CHANNEL.length), notificationId);
  if (subscriptionId.startsWith(DRILL_WAY)) {
    await context.confirmDrill(subscriptionId.slice(DRILL_WAY.length));
    return page("Confirmed", "<p>Pages reach you this way. You can close this page.</p>");
  }
  const user = subscriptionId.startsWith(MAIL)
    ? await db.read
        .selectFrom("users")
        .select("id")
        .where("id", "=", subscriptionId.slice(MAIL.length))
        .where("status", "=", "active")
        .where("deletedAt", "is", null)
        .executeTakeFirst()
    : undefined;
  if (!user) throw new PrismError("TOKEN_INVALID", "The link is not valid; log in instead");
  const ended = await endedIncident(db, notificationId);
  await notify.acknowledge(notificationId, user.id, "mail");
  if (ended !== undefined)
    return page("Resolved already", `<p>Incident ${ended} was resolved before. You can close this page.</p>`);
  return page("Acknowledged", "<p>You have acknowledged this. You can close this page.</p>");
}

/** The number of the incident of a notification, if it is resolved. */
async function endedIncident(db: Database, notificationId: string): Promise<number | undefined> {
  const row = await db.read
    .selectFrom("notifications as n")
    .innerJoin("incidents as i", "i.id", "n.incidentId")
    .select("i.number")
    .where("n.id", "=", notificationId)
    .where("i.state", "=", "resolved")
    .executeTakeFirst();
  return row?.number;
}

/** The incident of a link, while the channel is active, has links, and belongs to the same project. */
function incidentOf(db: Database, channelId: string, incidentId: string) {
  return db.read
    .selectFrom("incidents as i")
    .innerJoin("channels as c", "c.projectId", "i.projectId")
    .select(["i.title", "i.state", "i.resolvedBy", "i.number"])
    .where("i.id", "=", incidentId)
    .where("c.id", "=", channelId)
    .where("c.active", "=", 1)
    .where("c.acknowledgeLink", "=", 1)
    .executeTakeFirst();
}

/** A second click, or one after the end, changes nothing. @throws TOKEN_INVALID */
async function acknowledgeInChannel(
  { db, acknowledgeIncident }: AcknowledgeContext,
  channelId: string,
  incidentId: string,
): Promise<string> {
  const incident = await incidentOf(db, channelId, incidentId);
  if (!incident) throw new PrismError("TOKEN_INVALID", "The link is not valid; log in instead");
  if (incident.state === "resolved" && incident.resolvedBy === "timeout")
    return page("Ended already", `<p>Incident ${incident.number} is no longer reported. You can close this page.</p>`);
  if (incident.state === "resolved")
    return page("Resolved already", `<p>Incident ${incident.number} is resolved. You can close this page.</p>`);
  if (incident.state === "acknowledged")
    return page("Acknowledged already", `<p>Incident ${incident.number} is acknowledged. You can close this page.</p>`);
  await acknowledgeIncident(incidentId, channelId);
  return page("Acknowledged", `<p>You have acknowledged incident ${incident.number}. You can close this page.</p>`);
}

function answer(exchange: Exchange, status: number, html: string): typeof ANSWERS_LATER {
  const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" };
  exchange.send(status, html, headers, { fixedHeaders: DOCUMENT_HEADERS });
  return ANSWERS_LATER;
}

/** A link that does not work has a page for people too, with the status of the error. */
async function answerAny(exchange: Exchange, html: Promise<string>): Promise<typeof ANSWERS_LATER> {
  try {
    return answer(exchange, 200, await html);
  } catch (error) {
    if (!(error instanceof PrismError) || STATUS_OF[error.code] >= 500) throw error;
    const status = STATUS_OF[error.code];
    return answer(exchange, status, page("This link does not work", `<p>${escapeHtml(error.message)}.</p>`));
  }
}

/** No script and no style: it works in every browser and under the policy of all pages. */
function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>${escapeHtml(title)}</title></head>
<body><h1>${escapeHtml(title)}</h1>
${body}
</body></html>
`;
}

/** In messages of incidents, for readers with a button or link. */
export const ACKNOWLEDGE_HINT = "Acknowledge this notification if you take care of it.";

/** The message for readers to whom it brings no link that acknowledges, as without `publicUrl`. */
export function withoutLink(message: string): string {
  return message.replace(ACKNOWLEDGE_HINT, "Acknowledge it in the console if you take care of it.");
}
