import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { inZone } from "../../core/time/clock.ts";
import { matchesType } from "../../live/stream.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import {
  type Answer,
  type Attempt,
  acknowledgeLink,
  type DeliveryChannel,
  isDrillNotification,
  type NotificationFacts,
  type Place,
  PROJECT_RECIPIENT,
  type Target,
  TargetGone,
  type TargetSource,
  Throttled,
  targetKey,
  withoutLink,
} from "../delivery/index.ts";
import type { ChannelRow } from "./channel.ts";
import {
  continuationOf,
  disableChannel,
  errorOf,
  openChannel,
  recordFailure,
  recordSent,
  recordSuccess,
  sendMessage,
} from "./messages.ts";
import { type NoticeText, noticeOf, SEVERITIES, severityOf } from "./notice.ts";
import { ringsOf } from "./preset.ts";
import type { ChannelsContext } from "./sending/sender.ts";
import { activeChannels, findChannel, openFields } from "./store.ts";

/** Event type that selects channels for notifications without an event. */
const WITHOUT_EVENT = "notification";
/** Kinds with Prism's own text, whose times are instants. */
const OWN_KINDS: ReadonlySet<string> = new Set(["alert", "digest", "aggregate", "incident"]);

/** A message on its way: no secret is in it. */
export interface ServiceMessage {
  readonly channelId: string;
  readonly id: string;
  readonly n: NoticeText;
  /** It has no turn of the channel's rate yet: it takes the next one. */
  readonly isPage: boolean;
}

/**
 * The channel `service` of deliveries: chat, push and paging services. A user's channels get each
 * of the user's notifications, a project's one message per notification of the project. Incidents
 * reach a project's channels by the steps of policies, not by the notifications of their readers.
 */
export function serviceChannel(context: ChannelsContext, isUsed: () => boolean): DeliveryChannel<ServiceMessage> {
  /** Why channels are about to be disabled, until the transaction that records it. */
  const reasons = new Map<string, string>();
  return {
    name: "service",
    get isConfigured() {
      return isUsed();
    },
    perTargetCircuit: true,
    targets: targetsOf,
    prepare: (attempt) => prepare(context, attempt),
    call: async (message, signal) => {
      const result = await call(context, message, signal);
      if (!(result instanceof Error)) return result;
      if (result instanceof TargetGone) reasons.set(message.channelId, result.message);
      throw result;
    },
    turnMs: (delivery) => turnMs(context, delivery),
    interpret: (attempt, answer) => interpret(context, attempt, answer),
    sourceOf: (target) => sourceOf(context, target),
    disable: async (target, trx) => {
      const row = await findChannel(trx, target);
      if (row)
        await disableChannel(context, target, reasons.get(target) ?? "the service no longer takes messages", trx);
      reasons.delete(target);
    },
  };
}

async function targetsOf(
  userIds: readonly string[],
  { projectId, eventId, priority, kind }: NotificationFacts,
  db: ReadDb | Trx,
): Promise<readonly Target[]> {
  const channels = await activeChannels(db).where("userId", "in", userIds).execute();
  if (projectId !== null && kind !== "incident")
    channels.push(...(await activeChannels(db).where("projectId", "=", projectId).execute()));
  if (channels.length === 0) return [];
  const type = (eventId === null ? undefined : await typeOfEvent(db, eventId)) ?? WITHOUT_EVENT;
  return channels
    .filter(({ eventTypes, minPriority }) => {
      const patterns = JSON.parse(eventTypes) as string[];
      return priority >= minPriority && patterns.some((pattern) => matchesType(pattern, type));
    })
    .map(({ id, userId }) => ({ userId: userId ?? PROJECT_RECIPIENT, target: id }));
}

async function typeOfEvent(db: ReadDb | Trx, eventId: string): Promise<string | undefined> {
  const row = await db.selectFrom("events").select("type").where("id", "=", eventId).executeTakeFirst();
  return row?.type;
}

async function sourceOf(context: ChannelsContext, target: string): Promise<TargetSource | undefined> {
  const row = await findChannel(context.db.read, target);
  if (!row) return undefined;
  const { provider, owner, rings } = await placeOfChannel(context, target, row);
  return { host: provider, owner, rings };
}

/** Key of the pages to a room. */
function targetOfChannel(id: string): string {
  return `channel ${id}`;
}

/** Limits that calls of a channel share: its own queue, and the host or service that others use too. */
export async function placeOfChannel(
  { box, book }: Pick<ChannelsContext, "box" | "book">,
  id: string,
  row: ChannelRow | undefined,
): Promise<Place> {
  const target = targetOfChannel(id);
  if (!row) return { target, provider: id, owner: id };
  const provider = hostOf(box, row) ?? row.preset;
  const preset = await book.get(row.preset);
  const rings = preset === undefined ? false : ringsOf(preset, JSON.parse(row.fields) as Record<string, string>);
  return { target, provider, owner: row.userId ?? `project ${row.projectId}`, rings };
}

/** The host that a channel's own address names. */
function hostOf(box: ChannelsContext["box"], row: ChannelRow): string | undefined {
  try {
    const { api, url, ...others } = openFields(box, row);
    const address = [api, url, ...Object.values(others)].find((each) => /^https?:/i.test(each ?? ""));
    return address !== undefined && URL.canParse(address) ? new URL(address).host : undefined;
  } catch (error) {
    // Its attempt names the problem.
    if (error instanceof UnsealError) return undefined;
    throw error;
  }
}

/** The rate of a channel is that of its preset. */
async function turnMs({ db, book, sender, pages }: ChannelsContext, delivery: Attempt["delivery"]) {
  const { id, target, userId } = delivery;
  const row = await findChannel(db.read, target);
  const preset = row && (await book.get(row.preset));
  if (!preset) return 0;
  const ready = pages.readyFor(targetOfChannel(target)) + pages.readyFor(targetKey("service", userId, target));
  return sender.rates.takeAfterPages(target, preset.rate, id, ready);
}

async function prepare(
  context: ChannelsContext,
  { delivery, notification, isPage = false }: Attempt,
): Promise<ServiceMessage> {
  const { row } = await openChannel(context, delivery.target, isPage);
  const reader = row.userId === null ? null : await readerOf(context, delivery.userId);
  const n = await noticeOfNotification(context, notification, reader);
  return { channelId: row.id, id: delivery.id, n, isPage };
}

interface Reader {
  readonly userId: string;
  readonly timezone: string;
}

async function readerOf({ db }: ChannelsContext, userId: string): Promise<Reader | null> {
  const user = await db.read.selectFrom("users").select("timezone").where("id", "=", userId).executeTakeFirst();
  return user ? { userId, timezone: user.timezone } : null;
}

async function noticeOfNotification(
  context: ChannelsContext,
  notification: NotificationFacts,
  reader: Reader | null,
): Promise<NoticeText> {
  const { id, kind, title, message, priority, createdAt, projectId } = notification;
  const config = context.settings.current;
  const data = Object(JSON.parse(notification.data ?? "{}")) as Readonly<Record<string, unknown>>;
  const isIncident = kind === "incident" && typeof data["incidentId"] === "string";
  const stated = isIncident ? SEVERITIES.find((each) => each === data["severity"]) : undefined;
  const status = isIncident ? (data["reason"] === "resolved" ? "resolved" : "firing") : "event";
  const mayAcknowledge = isIncident && status === "firing" && reader !== null;
  const base = config.publicUrl?.replace(/\/+$/, "");
  const shown = OWN_KINDS.has(kind) && reader ? inZone(message, reader.timezone) : message;
  const ackUrl = mayAcknowledge
    ? acknowledgeLink(config, { userId: reader.userId, notificationId: id }, context.clock.now())
    : undefined;
  return noticeOf({
    title,
    message: isIncident && ackUrl === undefined ? withoutLink(shown) : shown,
    severity: isDrillNotification(notification)
      ? "info"
      : (stated ?? severityOf(priority, kind === "rule" ? data["level"] : undefined)),
    status,
    facts: kind === "rule" ? fieldsOf(data["fields"]) : [],
    timedOut: data["timedOut"] === true,
    priority,
    key: isIncident ? `incident:${String(data["incidentId"])}` : `notification:${id}`,
    atMs: createdAt,
    url: linkOf(notification.action) ?? (base === undefined ? undefined : `${base}/dashboard/`),
    ackUrl,
    confirmUrl: isDrillNotification(notification) ? linkOf(notification.action) : undefined,
    project: projectId === null ? undefined : await projectName(context, projectId),
  });
}

/** For a rule's notification: the values that its event names. */
function fieldsOf(fields: unknown): NoticeText["facts"] {
  const list = Array.isArray(fields) ? (fields as readonly unknown[]) : [];
  return list.flatMap((each) => {
    const { title, value } = Object(each) as { title?: unknown; value?: unknown };
    return typeof title === "string" && typeof value === "string" ? [{ title, value }] : [];
  });
}

function linkOf(action: string | null): string | undefined {
  const { url } = Object(action === null ? null : JSON.parse(action)) as { url?: unknown };
  return typeof url === "string" && /^https?:\/\//.test(url) ? url : undefined;
}

async function projectName({ db }: ChannelsContext, id: string): Promise<string | undefined> {
  const row = await db.read.selectFrom("projects").select("name").where("id", "=", id).executeTakeFirst();
  return row?.name;
}

async function call(context: ChannelsContext, { channelId, id, n, isPage }: ServiceMessage, signal: AbortSignal) {
  const channel = await openChannel(context, channelId, isPage);
  const continues = await continuationOf(context, channelId, n.key);
  const outcome = await sendMessage(context, channel, n, { id, continues, signal, hasTurn: !isPage });
  if (outcome === null) return {};
  if (outcome.class !== "ok") return errorOf(outcome);
  const record = (trx: Trx): Promise<void> => recordSent(context, channel, n, outcome, trx);
  const [first] = Object.values(outcome.ref ?? {});
  return first === undefined ? { record } : { providerId: first, record };
}

/** Counts failures of the channel, except answers with a time or that it is gone. */
async function interpret(context: ChannelsContext, { delivery }: Attempt, answer: Answer): Promise<Answer> {
  const { target } = delivery;
  if ("accepted" in answer) {
    await recordSuccess(context, target);
    return answer;
  }
  const { failure } = answer;
  if (failure instanceof Throttled || failure instanceof TargetGone) return answer;
  await recordFailure(context, target, failure);
  return answer;
}
