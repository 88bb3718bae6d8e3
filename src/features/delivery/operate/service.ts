import { redactText } from "../../../config/logger.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { type ChannelName, cursorOf, pageBody, readPage } from "../../../http/api/shapes.ts";
import type { Context } from "../../../module/feature.ts";
import type { Database, Trx } from "../../../store/database.ts";
import type { OutsideChannel } from "../../../store/schema.ts";
import { type Channels, type NotificationFacts, PROJECT_RECIPIENT } from "../channel.ts";
import type { CircuitFacts, Circuits } from "../circuits.ts";
import { attemptJob, heldUntil, type Preferences, refusal, updateDelivery } from "../deliveries.ts";
import * as queries from "./queries.ts";
import {
  type DeliveryChannelView,
  type DeliveryDetail,
  type DeliveryFilters,
  type ListDeliveries,
  MAX_RETRIED,
  type PreviewRecipients,
  type RecipientsPreview,
  type RetryDeliveries,
} from "./schema.ts";

export type DeliveriesContext = Context<"channels" | "circuits" | "jobs" | "jobControl" | "rules">;

/** @throws INVALID_CURSOR, VALIDATION_FAILED */
export async function listDeliveries(
  { db }: DeliveriesContext,
  { limit, page, offset, cursor, ...filters }: ListDeliveries,
) {
  const request = readPage({ limit, page, offset, cursor }, ["string"]);
  const before = request.after ? String(request.after[0]) : null;
  const found = await queries.deliveryIds(
    db.scan,
    filters,
    { before, limit: request.limit + 1, offset: request.offset },
    !request.wantsTotal,
  );
  const rows = await queries.deliveryRows(db.read, found.ids);
  const total = request.wantsTotal ? await queries.countDeliveries(db.scan, filters) : undefined;
  const body = pageBody(request, rows, itemOf, ({ id }) => [id], total);
  // No further match among these, but older deliveries remain.
  return body.nextCursor === null && found.searchedTo !== null
    ? { ...body, nextCursor: cursorOf([found.searchedTo]) }
    : body;
}

/** @throws DELIVERY_NOT_FOUND */
export async function getDelivery({ db }: DeliveriesContext, id: string): Promise<DeliveryDetail> {
  const row = await deliveryRow(db, id);
  const failed = await queries.failedAttempts(db.read, id);
  const attempts = failed.map(({ attempt, startedAt, endedAt, outcome, error, worker }) => ({
    attempt,
    startedAt: toRfc3339(startedAt),
    endedAt: toRfc3339OrNull(endedAt),
    durationMs: endedAt === null ? null : Math.max(0, endedAt - startedAt),
    outcome,
    status: statusIn(error),
    error: error === null ? null : redactText(error),
    worker,
  }));
  return { ...itemOf(row), canRetry: actionFor(row) !== null, history: [...attempts, ...lastAttempt(row, attempts)] };
}

async function deliveryRow({ read }: Database, id: string): Promise<queries.DeliveryRow> {
  const [row] = isUuid(id) ? await queries.deliveryRows(read, [id]) : [];
  if (!row) throw new PrismError("DELIVERY_NOT_FOUND", "No such delivery");
  return row;
}

function itemOf(row: queries.DeliveryRow) {
  const isTimed = row.jobState === "scheduled" || row.jobState === "retrying";
  return {
    id: row.id,
    channel: row.channel,
    target: row.target,
    state: row.state,
    reason: row.reason,
    attempts: row.attempts,
    lastError: row.lastError === null ? null : redactText(row.lastError),
    providerId: row.providerId,
    notificationId: row.notificationId,
    title: row.title,
    userId: row.userId === PROJECT_RECIPIENT ? null : row.userId,
    userName: row.name || row.username,
    // A webhook's path may be its secret.
    webhookHost: row.channel === "webhook" && row.url !== null ? new URL(row.url).host : null,
    nextAttemptAt: isTimed ? toRfc3339OrNull(row.runAt) : null,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
    deliveredAt: toRfc3339OrNull(row.deliveredAt),
  };
}

/** The running or successful attempt, which has no row of its own. */
function lastAttempt(row: queries.DeliveryRow, failed: readonly { readonly attempt: number }[]) {
  const { state, startedAt, deliveredAt, workerId } = row;
  if ((state !== "delivered" && state !== "sending") || startedAt === null) return [];
  return [
    {
      attempt: (failed.at(-1)?.attempt ?? 0) + 1,
      startedAt: toRfc3339(startedAt),
      endedAt: toRfc3339OrNull(deliveredAt),
      durationMs: deliveredAt === null ? null : Math.max(0, deliveredAt - startedAt),
      outcome: state === "delivered" ? "delivered" : "running",
      status: null,
      error: null,
      worker: workerId ?? "",
    },
  ];
}

/** All channels name the status of an answer in this form. */
function statusIn(error: string | null): number | null {
  const [, status] = /\banswered ([1-5]\d\d)\b/.exec(error ?? "") ?? [];
  return status === undefined ? null : Number(status);
}

type Action = "retry" | "promote" | "enqueue";

/** How a delivery is attempted now; null if it is over, running or about to run. */
function actionFor({ state, reason, jobState }: queries.DeliveryRow): Action | null {
  if (state === "delivered" || (state === "skipped" && reason !== "cancelled")) return null;
  if (jobState === null) return "enqueue";
  if (jobState === "dead" || jobState === "cancelled") return "retry";
  return jobState === "scheduled" || jobState === "retrying" ? "promote" : null;
}

/** @throws DELIVERY_NOT_FOUND, INVALID_STATE, OVERLOADED */
export async function retryDelivery(context: DeliveriesContext, id: string): Promise<DeliveryDetail> {
  const row = await deliveryRow(context.db, id);
  const action = actionFor(row);
  if (action === null) {
    const reason = row.state === "delivered" || row.state === "skipped" ? `is ${row.state}` : "is attempted already";
    throw new PrismError("INVALID_STATE", `The delivery ${reason}`);
  }
  await context.db.write((trx) => act(context, row, action, trx));
  return getDelivery(context, id);
}

async function act(context: DeliveriesContext, row: queries.DeliveryRow, action: Action, trx: Trx): Promise<void> {
  const { jobControl, jobs, channels, clock, audit } = context;
  if (action !== "enqueue") return jobControl[action](row.id, { trx });
  // Retention removed its job before the delivery.
  const now = clock.now();
  const job = attemptJob(row, { priority: 0, correlationId: row.id }, now, channels.queueOf(row.channel));
  await jobs.enqueue(job, { trx });
  await updateDelivery(trx, row.id, { state: "queued", reason: null, updatedAt: now });
  await audit.record({ action: "job.retry", resourceType: "job", resourceId: row.id, metadata: {} }, { trx });
}

/** Deliveries per transaction, so that others wait for the writer no longer than for one slice. */
const SLICE = 100;

/** @throws OVERLOADED when too many jobs wait; deliveries retried so far stay so */
export async function retryDeliveries(
  context: DeliveriesContext,
  { filter: { state = ["dead"], ...filter }, limit = MAX_RETRIED, dryRun = false }: RetryDeliveries,
) {
  const ids = await matchingIds(context, { ...filter, state }, limit);
  let retried = 0;
  if (!dryRun)
    for (let at = 0; at < ids.length; at += SLICE) {
      const rows = await queries.deliveryRows(context.db.read, ids.slice(at, at + SLICE));
      retried += await context.db.write((trx) => retrySlice(context, rows, trx));
    }
  return { matched: ids.length, retried, dryRun };
}

async function matchingIds({ db }: DeliveriesContext, filters: DeliveryFilters, limit: number): Promise<string[]> {
  const matched: string[] = [];
  for (let before: string | null = null; matched.length < limit; ) {
    const page = { before, limit: limit - matched.length, offset: 0 };
    const { ids, searchedTo } = await queries.deliveryIds(db.scan, filters, page, true);
    matched.push(...ids);
    if (searchedTo === null || searchedTo === before) break;
    before = searchedTo;
  }
  return matched;
}

async function retrySlice(context: DeliveriesContext, rows: readonly queries.DeliveryRow[], trx: Trx): Promise<number> {
  let retried = 0;
  for (const row of rows) {
    const action = actionFor(row);
    if (action === null) continue;
    try {
      await act(context, row, action, trx);
      retried++;
    } catch (error) {
      // It was attempted or removed in the meantime; its check comes before any change.
      if (!(error instanceof PrismError) || error.code === "OVERLOADED") throw error;
    }
  }
  return retried;
}

const MAX_TARGETS = 100;

export async function listChannels({ db, channels, circuits }: DeliveriesContext): Promise<DeliveryChannelView[]> {
  const waiting = await queries.openByChannel(db.scan);
  return channels.names.map((name) => channelView(channels, circuits, name, waiting.get(name) ?? 0));
}

function channelView(
  channels: Channels,
  circuits: Circuits,
  name: OutsideChannel,
  waiting: number,
): DeliveryChannelView {
  const all = circuits.ofChannel(name).map(({ facts }) => facts);
  const paused = all.filter(({ state }) => state !== "closed");
  const failed = latestOf(all, ({ lastFailureAt }) => lastFailureAt);
  const lastSuccessAt = latestOf(all, (each) => each.lastSuccessAt)?.lastSuccessAt ?? null;
  const lastFailureAt = failed?.lastFailureAt ?? null;
  const isFailing = (lastFailureAt ?? 0) > (lastSuccessAt ?? 0);
  const isOn = channels.get(name) !== undefined;
  const until = paused.flatMap(({ pausedUntil }) => pausedUntil ?? []);
  return {
    name,
    configured: isOn,
    workers: channels.isForWorkers(name),
    state: !isOn ? "off" : paused.length > 0 ? "paused" : isFailing ? "failing" : "ok",
    pausedUntil: until.length === 0 ? null : toRfc3339(Math.min(...until)),
    waiting,
    lastSuccessAt: toRfc3339OrNull(lastSuccessAt),
    lastFailureAt: toRfc3339OrNull(lastFailureAt),
    lastError: failed?.lastError === undefined || failed.lastError === null ? null : redactText(failed.lastError),
    targets: paused.slice(0, MAX_TARGETS).map(targetView),
  };
}

function targetView({ target, state, pausedUntil, lastError, lastFailureAt }: CircuitFacts) {
  return {
    target,
    state: state === "open" ? ("open" as const) : ("half-open" as const),
    pausedUntil: toRfc3339OrNull(pausedUntil),
    lastError: lastError === null ? null : redactText(lastError),
    lastFailureAt: toRfc3339OrNull(lastFailureAt),
  };
}

function latestOf(all: readonly CircuitFacts[], of: (facts: CircuitFacts) => number | null): CircuitFacts | undefined {
  return all.toSorted((a, b) => (of(b) ?? 0) - (of(a) ?? 0)).find((facts) => of(facts) !== null);
}

/**
 * Ends the pauses of a channel, and attempts the deliveries that wait for them. A provider that
 * still fails is paused again. @throws CHANNEL_NOT_FOUND
 */
export async function resumeChannel(context: DeliveriesContext, ref: string, target: string | undefined) {
  const { db, jobs, channels, circuits, audit } = context;
  const name = channels.names.find((each) => each === ref);
  if (name === undefined) throw new PrismError("CHANNEL_NOT_FOUND", "No such channel");
  const metadata = target === undefined ? {} : { target };
  await audit.record({ action: "channel.resume", resourceType: "channel", resourceId: name, metadata });
  for (const circuit of circuits.ofChannel(name))
    if (target === undefined || circuit.target === target) circuit.close();
  const ids = await queries.waitingForProvider(db.scan, name, target, MAX_RETRIED);
  for (let at = 0; at < ids.length; at += SLICE) await jobs.recall(ids.slice(at, at + SLICE));
  const waiting = (await queries.openByChannel(db.scan)).get(name) ?? 0;
  return { channel: channelView(channels, circuits, name, waiting), attempted: ids.length };
}

const COUNTED_RECIPIENTS = 1000;
const SHOWN_RECIPIENTS = 20;

/** Who a rule with these targets would notify now, by which channels, and why not by others. */
export async function previewRecipients(
  { db, clock, channels, rules }: DeliveriesContext,
  { targetRoles, targetUsers, projectId, ...input }: PreviewRecipients,
): Promise<RecipientsPreview> {
  const roleIds = await queries.roleIds(db.read, targetRoles);
  const targets = { projectId, targetRoles: JSON.stringify(roleIds), targetUsers: JSON.stringify(targetUsers) };
  const userIds = rules.recipientPage(targets, "", COUNTED_RECIPIENTS);
  const readers = await queries.readers(db.read, userIds.slice(0, SHOWN_RECIPIENTS));
  const now = clock.now();
  const facts = trialFacts(projectId, input, now);
  const reachable = new Map<string, ReadonlySet<string>>();
  for (const channel of channels.forChannels(JSON.stringify(input.channels))) {
    const found = await channel.targets([...readers.keys()], facts, db.read);
    reachable.set(channel.name, new Set(found.map(({ userId }) => userId)));
  }
  const people = [...readers.values()].map((reader) => ({
    userId: reader.id,
    name: reader.name || reader.username || reader.email || reader.id,
    channels: input.channels.map((channel) => ({
      channel,
      ...previewChannel(channel, reader, reachable.get(channel), facts, now),
    })),
  }));
  return { users: userIds.length, people };
}

type ChannelPreview = Omit<RecipientsPreview["people"][number]["channels"][number], "channel">;

function previewChannel(
  channel: ChannelName,
  { id, prefs, timezone }: queries.PreviewedUser,
  reachable: ReadonlySet<string> | undefined,
  facts: NotificationFacts,
  now: number,
): ChannelPreview {
  const skipped = (reason: string): ChannelPreview => ({ result: "skipped", reason, until: null });
  if (channel === "in_app") return { result: "sent", reason: null, until: null };
  if (!reachable) return skipped("not configured");
  if (!reachable.has(id)) return skipped("no target");
  const wishes = JSON.parse(prefs) as Preferences;
  const refused = refusal(wishes, channel, facts);
  if (refused) return skipped(refused);
  const quiet = heldUntil(wishes, timezone, channel, facts, now);
  if (quiet !== null) return { result: "waits", reason: "quiet hours", until: toRfc3339(quiet) };
  return { result: "sent", reason: null, until: null };
}

/** A notification that is not stored: channels read their targets by its project. */
function trialFacts(
  projectId: string | null,
  { channels, priority = 0 }: Pick<PreviewRecipients, "channels" | "priority">,
  now: number,
): NotificationFacts {
  const none = { ruleId: null, eventId: null, sound: null, action: null, data: null, dedupeKey: null };
  const unsent = {
    scheduledJobId: null,
    delivered: 0,
    pusherEventSent: 0,
    deliveredAt: null,
    expiresAt: null,
    incidentId: null,
  } as const;
  const texts = { id: "", title: "", message: "", correlationId: "", channels: JSON.stringify(channels) };
  return { ...none, ...unsent, ...texts, projectId, kind: "rule", priority, aggregateCount: 1, createdAt: now };
}
