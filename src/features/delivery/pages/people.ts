import type { Config } from "../../../config/load.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { withinOr } from "../../../core/promises.ts";
import { type EpochMs, HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import type { NotificationRow } from "../../../store/commit/write-set.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { drillLink } from "../../channels/mail/acknowledge.ts";
import { endTarget } from "../../channels/push/last-device.ts";
import { PermanentError } from "../../time/jobs/index.ts";
import {
  type Accepted,
  type Answer,
  type Attempt,
  answerOf,
  type DeliveryChannel,
  NoAnswer,
  type NotificationFacts,
  Throttled,
} from "../channel.ts";
import {
  attemptJob,
  type DeliveryContext,
  findDelivery,
  heldUntil,
  isPush,
  type Preferences,
  refusal,
  updateDelivery,
} from "../deliveries.ts";
import { recordCompletion } from "../outcome.ts";
import {
  type AcceptedPage,
  DRILL,
  MOVED,
  MOVES_ONE_BY_ONE,
  type NewPage,
  type NotSent,
  type PageKind,
  type PageRow,
} from "./page.ts";
import { hasFailed } from "./store.ts";

/** Nothing of a drill is sent later: it would arrive in the night. */
const DRILL_MS = 15 * MINUTE_MS;

export function isDrillOver({ reason, createdAt }: PageRow, now: EpochMs): boolean {
  return reason === DRILL && now - createdAt >= DRILL_MS;
}

/** Whether a notification is that of a drill: it has the preferences of incidents, and is about none. */
export function isDrillNotification({ kind, data }: Pick<NotificationFacts, "kind" | "data">): boolean {
  if (kind !== "incident" || data === null) return false;
  return typeof (JSON.parse(data) as { readonly drillId?: unknown }).drillId === "string";
}

/** The attempt with a link that names its way: a tap on it proves this way and no other. */
export function withConfirmLink<A extends Pick<Attempt, "delivery" | "notification">>(
  config: Pick<Config, "publicUrl" | "secrets">,
  attempt: A,
  now: EpochMs,
): A {
  const { delivery, notification } = attempt;
  if (!isDrillNotification(notification)) return attempt;
  const url = drillLink(config, { deliveryId: delivery.id, notificationId: notification.id }, now);
  const action = url === undefined ? null : JSON.stringify({ type: "open", label: "Confirm", url });
  return { ...attempt, notification: { ...notification, action } };
}

/* Pages to people: one delivery for each target of a person, sent by the page with its id. */

/** Subject of an incident's notice. */
export interface PageFacts extends Pick<NewPage, "incidentId" | "projectId" | "urgency" | "severity" | "isEnd"> {
  readonly reason: string;
  readonly step: number | null;
}

/** Pages of a notification, and the people that one of them may reach. */
export interface PlannedPages {
  readonly pages: readonly NewPage[];
  /** Users with a target that is wanted and did not fail last time. */
  readonly reachable: ReadonlySet<string>;
}

/**
 * Plans the pages of a notification of an incident, with their deliveries. Limits per user, presence
 * and merging do not apply; preferences do, and quiet hours for low urgency.
 */
export async function planPages(
  context: DeliveryContext,
  trx: Trx,
  stored: NotificationRow,
  userIds: readonly string[],
  facts: PageFacts,
): Promise<PlannedPages> {
  const { clock } = context;
  const now = clock.now();
  const notification = { ...stored, incidentId: facts.incidentId } as unknown as NotificationFacts;
  const readers = await readersOf(trx, userIds);
  const pages: NewPage[] = [];
  const reachable = new Set<string>();
  for (const channel of context.channels.forChannels(stored.channels)) {
    for (const { userId, target } of await channel.targets(userIds, notification, trx)) {
      const reader = readers.get(userId);
      if (!reader) continue;
      const { prefs, timezone } = reader;
      const refused = refusal(prefs, channel.name, notification);
      const held = refused ? null : heldUntil(prefs, timezone, channel.name, notification, now);
      const id = uuidv7();
      const row = { id, notificationId: stored.id, userId, channel: channel.name, target };
      const state = refused ? "skipped" : "queued";
      const reason = refused ?? (held === null ? null : "quiet hours");
      const isForWorkers = context.channels.isForWorkers(channel.name);
      await trx
        .insertInto("deliveries")
        .values({ ...row, state, reason, jobId: isForWorkers && !refused ? id : null, createdAt: now, updatedAt: now })
        .execute();
      if (refused) addEffect(trx, { type: "delivery-outcome", channel: channel.name, state: "skipped" });
      else if (isForWorkers) {
        const job = attemptJob(row, stored, Math.max(now, held ?? 0), context.channels.queueOf(channel.name));
        await context.jobs.enqueueNew([{ ...job, maxAttempts: WORKER_ATTEMPTS }], trx, { isPage: true });
      }
      const place = await placeOf(channel, userId, target);
      pages.push({
        ...{ ...facts, ...place, id, kind: "delivery", way: place.target, userId, channel: channel.name },
        ...{ notificationId: stored.id, heldUntil: held, skipped: refused },
      });
      // Pusher is a live connection of the app.
      const isOutside = !refused && channel.name !== "pusher";
      if (isOutside && !(await hasFailed(trx, place.target))) reachable.add(userId);
    }
  }
  return { pages, reachable };
}

async function readersOf(db: ReadDb | Trx, userIds: readonly string[]) {
  const rows = await db.selectFrom("users").select(["id", "timezone", "prefs"]).where("id", "in", userIds).execute();
  return new Map(
    rows.map(({ id, timezone, prefs }) => [id, { timezone, prefs: JSON.parse(prefs) as Preferences }] as const),
  );
}

async function placeOf(channel: DeliveryChannel, userId: string, target: string) {
  const source = await channel.sourceOf?.(target);
  return {
    target: targetKey(channel.name, userId, target),
    provider: source === undefined ? channel.name : source.host,
    owner: source?.owner ?? userId,
    rings: source?.rings,
  };
}

/** A worker gets this long to take a page before it counts as not sent. */
const WORKER_MS = 5000;
/** Only attempts whose worker is lost count, a minute each: a page is tried for a day. */
const WORKER_ATTEMPTS = 10_000;

/** Sends the pages to people. */
export function peoplePages(context: DeliveryContext): PageKind {
  return {
    atOnce: 1,
    // After an outage a person gets the oldest message and a summary of the others.
    fold: {
      above: (_target, isBack) => (isBack ? MESSAGES_AFTER_OUTAGE : Number.POSITIVE_INFINITY),
      aboveMoves: () => MOVES_ONE_BY_ONE,
      send: (pages, { signal }) => sendSummary(context, pages, signal),
    },
    send: (page, { signal }) => send(context, page, signal),
    changed: (trx, page) => followPage(context, trx, page),
    gone: (trx, page) =>
      endTarget(context, { channel: channelOf(page), target: targetOf(page), userId: page.userId ?? "" }, trx),
  };
}

/** More messages that waited in an outage are sent as one. */
const MESSAGES_AFTER_OUTAGE = 5;
const NAMED = 5;

/** One message to a person in place of many: it names the most severe, and acknowledges nothing. */
async function sendSummary(
  context: DeliveryContext,
  pages: readonly PageRow[],
  signal: AbortSignal,
): Promise<AcceptedPage> {
  const { db, channels, settings } = context;
  const found = [];
  for (const { id } of pages.slice(0, NAMED)) {
    const each = await findDelivery(id, db.read);
    if (each) found.push(each);
  }
  const [first] = found;
  const channel = first && channels.get(first.delivery.channel);
  if (!first || !channel) throw new PermanentError("the channel is not configured");
  const titles = found.map(({ notification }) => `- ${notification.title}`);
  const more = pages.length > titles.length ? [`- and ${pages.length - titles.length} more`] : [];
  const base = settings.current.publicUrl?.replace(/\/+$/, "");
  const action = { type: "open", label: "Open the incidents", url: `${base}/dashboard/incidents` };
  const haveMoved = pages.every(({ reason }) => reason === MOVED);
  const why = haveMoved ? "Their alerts have other routes now:" : "They waited for this way to work again:";
  const notification: NotificationFacts = {
    ...first.notification,
    kind: "aggregate",
    title: `${pages.length} incidents${haveMoved ? " have moved" : ""}`,
    message: [why, ...titles, ...more].join("\n"),
    action: base === undefined ? null : JSON.stringify(action),
    data: null,
  };
  const message = await channel.prepare({ delivery: first.delivery, notification, offset: first.offset });
  return taken(await channel.call(message, signal));
}

function taken({ providerId, record }: Accepted): AcceptedPage {
  return { answer: providerId ?? null, ...(record && { record }) };
}

function channelOf(page: PageRow): Attempt["delivery"]["channel"] {
  return page.channel as Attempt["delivery"]["channel"];
}

/** The target within its channel, as in `deliveries.target`. */
function targetOf({ channel, userId, target }: PageRow): string {
  return target.slice(`${channel} ${userId} `.length);
}

async function send(context: DeliveryContext, page: PageRow, signal: AbortSignal): Promise<AcceptedPage | NotSent> {
  const { db, channels, clock, log, settings } = context;
  if (isDrillOver(page, clock.now())) return { skipped: "the drill is over" };
  const found = await findDelivery(page.id, db.read);
  if (!found) return { skipped: "recipient not active" };
  const { delivery, notification, recipient, user, offset } = found;
  if (delivery.state === "skipped" || delivery.state === "delivered")
    return { skipped: delivery.reason ?? "cancelled" };
  if (user.status !== "active" || user.deletedAt !== null) return { skipped: "recipient not active" };
  if (recipient.deletedAt !== null) return { skipped: "deleted by recipient" };
  // For a service, the channel's row says whether it is active.
  const channel = delivery.channel === "service" ? channels.of("service") : channels.get(delivery.channel);
  if (!channel) throw new PermanentError("the channel is not configured");
  if (channels.isForWorkers(delivery.channel)) {
    const leftMs = page.createdAt + WORKER_MS - clock.now();
    if (leftMs > 0) throw new Throttled("a remote worker sends it", leftMs, { isOwnRate: true });
    throw new NoAnswer(delivery.lastError ?? "no remote worker has sent it");
  }
  const told = isPush(channel.name) ? await untilNextStep(context, page, notification) : notification;
  const given = { delivery: { ...delivery, attempts: page.attempts + 1 }, notification: told, offset, isPage: true };
  const attempt = withConfirmLink(settings.current, given, clock.now());
  const message = await channel.prepare(attempt);
  const answer = await answerOf(channel, message, signal);
  if ("failure" in answer)
    log.warn({ deliveryId: page.id, channel: channel.name, err: answer.failure }, "paging a user failed");
  const ended = await interpreted(context, channel, attempt, answer);
  if ("failure" in ended) throw ended.failure;
  return taken(ended.accepted);
}

const LEAST_TTL_MS = HOUR_MS;

/** A push service keeps a page until the next step, or repetition, of its incident; an hour at least. */
async function untilNextStep(
  { db, clock }: DeliveryContext,
  { incidentId }: PageRow,
  notification: NotificationFacts,
): Promise<NotificationFacts> {
  const incident = await db.read
    .selectFrom("incidents")
    .select(["stepAt", "repeatAt"])
    .where("id", "=", incidentId)
    .executeTakeFirst();
  const next = incident?.stepAt ?? incident?.repeatAt;
  return next ? { ...notification, expiresAt: Math.max(next, clock.now() + LEAST_TTL_MS) } : notification;
}

/** An answer is not kept back for longer by a store that takes no writes. */
const INTERPRET_MS = 2000;

/** Stores the result for the target; a failure to store changes nothing. */
async function interpreted(
  { log }: DeliveryContext,
  channel: DeliveryChannel,
  attempt: Attempt,
  answer: Answer,
): Promise<Answer> {
  try {
    const ended = channel.interpret?.(attempt, answer) ?? answer;
    return await withinOr(INTERPRET_MS, Promise.resolve(ended), () => answer);
  } catch (error) {
    log.warn({ err: error }, "cannot store the result for a target");
    return answer;
  }
}

/** The delivery has the documented state of its page. */
async function followPage(context: DeliveryContext, trx: Trx, page: PageRow): Promise<void> {
  const { id, outcome, attempts, lastError, note, answer, deliveredAt, endedAt, notificationId, createdAt } = page;
  const channel = channelOf(page);
  const updatedAt = page.updatedAt;
  if (outcome === "delivered") {
    const changes = { state: "delivered", deliveredAt, lastError: null, reason: null } as const;
    await updateDelivery(trx, id, { ...changes, attempts, providerId: answer, updatedAt });
    addEffect(trx, {
      type: "delivery-outcome",
      channel,
      state: "delivered",
      latencyMs: (deliveredAt ?? createdAt) - createdAt,
    });
  } else if (outcome === "overtaken" || outcome === "skipped") {
    const reason = outcome === "overtaken" ? ("overtaken" as const) : (note as "recipient not active");
    await updateDelivery(trx, id, { state: "skipped", reason, attempts, updatedAt });
    addEffect(trx, { type: "delivery-outcome", channel, state: "skipped" });
  } else {
    const state = endedAt === null ? "failed" : "dead";
    await updateDelivery(trx, id, { state, attempts, lastError, reason: null, updatedAt });
    addEffect(trx, { type: "delivery-outcome", channel, state });
  }
  if (endedAt !== null && notificationId !== null) await recordCompletion(context, notificationId, channel, trx);
}

/** The channels, as in a notification, and the priority of notices. */
interface NoticeFacts {
  /** Null: of no project. */
  readonly projectId: string | null;
  readonly priority: number;
  readonly channels: string;
}

/** The users whom a notice of an incident may reach outside of the app, by the channels given. */
export async function reachableUsers(
  context: Pick<DeliveryContext, "channels">,
  db: ReadDb | Trx,
  userIds: readonly string[],
  facts: NoticeFacts,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const { userId, target } of await waysOf(context, db, userIds, facts))
    if (!found.has(userId) && !(await hasFailed(db, target))) found.add(userId);
  return found;
}

/** A target of a person, outside of the app. */
export interface PersonWay extends Pick<NewPage, "target" | "provider"> {
  readonly userId: string;
  readonly channel: DeliveryChannel["name"];
  /** The target within its channel, as in `deliveries.target`. */
  readonly address: string;
}

/** The ways by which notices of incidents go to these users, outside of the app. */
export async function waysOf(
  { channels }: Pick<DeliveryContext, "channels">,
  db: ReadDb | Trx,
  userIds: readonly string[],
  facts: NoticeFacts,
): Promise<PersonWay[]> {
  const notification = { ...facts, kind: "incident", eventId: null } as unknown as NotificationFacts;
  const readers = await readersOf(db, userIds);
  const found: PersonWay[] = [];
  for (const channel of channels.forChannels(facts.channels)) {
    if (channel.name === "pusher") continue;
    for (const { userId, target: address } of await channel.targets(userIds, notification, db)) {
      const reader = readers.get(userId);
      if (!reader || refusal(reader.prefs, channel.name, notification)) continue;
      const target = targetKey(channel.name, userId, address);
      found.push({ userId, channel: channel.name, address, target, provider: channel.name });
    }
  }
  return found;
}

/** Key of the queue of one target of a person, such as a device. */
export function targetKey(channel: string, userId: string, target: string): string {
  return `${channel} ${userId} ${target}`;
}
