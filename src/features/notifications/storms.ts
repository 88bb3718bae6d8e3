import type { Selectable } from "kysely";
import { countText } from "../../core/text/clean-text.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import { notificationRow } from "../../store/commit/notification-row.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { DeadJob } from "../../store/effect.ts";
import type { Schema, SuppressedBatchesTable } from "../../store/schema.ts";
import {
  cutText,
  MAX_DIRECT_RECIPIENTS,
  rendered,
  STORM_JOB,
  storedEvent,
  stormJob,
  textsOf,
  throttleSettings,
} from "../rules/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";

/** Minimum time between updates of a notice. */
const UPDATE_EVERY_MS = 5000;
const TITLE_LENGTH = 255;
const SAMPLE_LENGTH = 200;
/** Limit of dedupe keys that a notice lists, and limit of keys counted beyond them. */
const LISTED_KEYS = 20;
const COUNTED_KEYS = 1000;
const KEY_LENGTH = 80;

type Batch = Selectable<SuppressedBatchesTable>;
type RuleRow = Schema["rules"] & { readonly isForMembers?: boolean };

type StormContext = Uses<
  "notify" | "jobs" | "clock" | "db" | "runner" | "jobControl" | "events" | "rules" | "throttle" | "receiverRules"
>;

interface StormPayload {
  readonly batchId: string;
}

/**
 * Registers the handlers of storms. While matches of a rule are held back, its recipients have one
 * notice with the current number, and a summary at the end. The notice makes a sound only once.
 */
export function handleStorms(context: StormContext): void {
  const { runner, jobControl, events, db } = context;
  runner.handle(STORM_JOB, (job) => report(context, job));
  jobControl.whenEnded(STORM_JOB, async (trx, { jobId, state }) => {
    if (state === "cancelled" || state === "dead") await abandon(context, trx, jobId);
  });
  events.on("job:dead", async (job) => {
    const { id, kind } = Object(job) as Partial<DeadJob>;
    if (kind === STORM_JOB && id !== undefined) await db.write((trx) => abandon(context, trx, id));
  });
}

/** Ends a storm without a job: an open storm would hold the rule back for ever. */
async function abandon({ clock }: StormContext, trx: Trx, jobId: string): Promise<void> {
  const job = await trx.selectFrom("jobs").select("payload").where("id", "=", jobId).executeTakeFirst();
  const batch = job && (await openBatch(trx, (JSON.parse(job.payload) as StormPayload).batchId));
  if (!batch) return;
  await remember(trx, batch, { closedAt: clock.now() });
  addEffect(trx, { type: "storm-closed", ruleId: batch.ruleId, key: batch.key });
}

/** Each run is one transaction: what is sent, its record, the end of this job and the next one. */
async function report(context: StormContext, job: RunningJob): Promise<typeof COMPLETED> {
  const { batchId } = job.payload as StormPayload;
  const { db, jobs, clock, throttle } = context;
  await db.write(async (trx) => {
    const batch = await openBatch(trx, batchId);
    // Also an inactive or deleted rule: what it held back is reported all the same.
    const rule = batch && (await ruleOf(context, trx, batch.ruleId));
    await jobs.complete(job, trx);
    if (!batch) return;
    if (!rule) {
      await close(trx, batch, batch.toldCount, clock.now());
      return;
    }
    const { matches, count } = throttle.windowCount(rule.id, throttleSettings(rule), batch.key, clock.now());
    if (matches > count) await update(context, trx, rule, batch);
    else await end(context, trx, rule, batch);
  });
  return COMPLETED;
}

/** The rule, or that of a receiver, which ends with it. */
async function ruleOf({ receiverRules }: StormContext, trx: Trx, id: string): Promise<RuleRow | undefined> {
  const rule = await trx.selectFrom("rules").selectAll().where("id", "=", id).executeTakeFirst();
  return rule ?? receiverRules.rowOf(id);
}

async function close(trx: Trx, batch: Batch, toldCount: number, closedAt: number): Promise<void> {
  await remember(trx, batch, { toldCount, closedAt });
  addEffect(trx, { type: "storm-closed", ruleId: batch.ruleId, key: batch.key });
}

async function update(context: StormContext, trx: Trx, rule: RuleRow, batch: Batch): Promise<void> {
  const { jobs, clock } = context;
  if (batch.noticeId === null) {
    const noticeId = await send(context, trx, rule, {
      ...noticeText(rule, batch, await keysOf(trx, batch)),
      sound: rule.sound,
      data: null,
    });
    await remember(trx, batch, { noticeId, toldCount: batch.count });
  } else if (batch.count !== batch.toldCount) {
    const text = noticeText(rule, batch, await keysOf(trx, batch));
    await context.notify.update(batch.noticeId, { ...text, aggregateCount: batch.count }, trx);
    await remember(trx, batch, { toldCount: batch.count });
  }
  await jobs.enqueue(stormJob(batch.id, rule.priority, clock.now() + UPDATE_EVERY_MS), { trx });
}

async function end(context: StormContext, trx: Trx, rule: RuleRow, batch: Batch): Promise<void> {
  const { clock } = context;
  const keys = await keysOf(trx, batch);
  if (batch.noticeId !== null && batch.count !== batch.toldCount)
    await context.notify.update(batch.noticeId, { ...noticeText(rule, batch, keys), aggregateCount: batch.count }, trx);
  const isBatch = throttleSettings(rule).suppression?.mode === "batch";
  const samples = isBatch || rule.isForMembers ? await samplesOf(trx, rule, batch) : [];
  const data = {
    heldBack: batch.count,
    firstSeq: batch.firstSeq,
    lastSeq: batch.lastSeq,
    ...(isBatch ? { samples } : {}),
    ...(keys.length > 0 ? { keys: keys.slice(0, LISTED_KEYS) } : {}),
  };
  await send(context, trx, rule, { ...summaryText(rule, batch, samples, keys), sound: null, data });
  await close(trx, batch, batch.count, clock.now());
}

/** Sends to all current recipients of the rule. @returns the notification's id. */
async function send(
  { rules, notify, clock }: StormContext,
  trx: Trx,
  rule: RuleRow,
  { data, ...content }: { title: string; message: string; sound: string | null; data: unknown },
): Promise<string> {
  const row = notificationRow({
    ...content,
    kind: "aggregate",
    ruleId: rule.id,
    projectId: rule.projectId,
    action: rule.action,
    data: data === null ? null : JSON.stringify(data),
    priority: rule.priority,
    createdAt: clock.now(),
    channels: rule.channels,
  });
  const userIds = rules.recipientPage(rule, "", MAX_DIRECT_RECIPIENTS + 1);
  await notify.store(row, userIds, trx, { targets: rule });
  return row.id;
}

async function samplesOf(trx: Trx, rule: RuleRow, batch: Batch): Promise<{ eventId: string; title: string }[]> {
  const ids = JSON.parse(batch.samples) as string[];
  const events = await trx.selectFrom("events").selectAll().where("id", "in", ids).orderBy("seq").execute();
  const { title } = textsOf(rule);
  return events.map((row) => ({
    eventId: row.id,
    title: rendered(title, storedEvent(row), SAMPLE_LENGTH),
  }));
}

function openBatch(trx: Trx, id: string): Promise<Batch | undefined> {
  return trx
    .selectFrom("suppressed_batches")
    .selectAll()
    .where("id", "=", id)
    .where("closedAt", "is", null)
    .executeTakeFirst();
}

async function remember(
  trx: Trx,
  { id }: Batch,
  change: Partial<Pick<Batch, "noticeId" | "toldCount" | "closedAt">>,
): Promise<void> {
  await trx.updateTable("suppressed_batches").set(change).where("id", "=", id).execute();
}

/** Dedupe keys held back by the storm, up to one over the limit; none if it has a single key. */
async function keysOf(trx: Trx, { id }: Batch): Promise<string[]> {
  const rows = await trx
    .selectFrom("suppressed_keys")
    .select("key")
    .where("batchId", "=", id)
    .orderBy("key")
    .limit(COUNTED_KEYS + 1)
    .execute();
  return rows.map(({ key }) => key);
}

function noticeText(rule: RuleRow, batch: Batch, keys: readonly string[]) {
  return {
    title: cutText(`${rule.name}: ${batch.count} suppressed${keyText(batch)}`, TITLE_LENGTH),
    message: rule.isForMembers
      ? `${countText(batch.count, "further message")} since ${toRfc3339(batch.startedAt)} notified no one: there are ` +
        `more than the limit of notifications allows. A summary follows at the end.${storedText(rule, keys)}`
      : `The rule matches more often than its limit. ${batch.count} further matches since ` +
        `${toRfc3339(batch.startedAt)} are suppressed; a summary follows at the end.${keysText(keys)}`,
  };
}

function summaryText(
  rule: RuleRow,
  batch: Batch,
  samples: readonly { readonly title: string }[],
  keys: readonly string[],
) {
  const span = `From ${toRfc3339(batch.startedAt)} to ${toRfc3339(batch.lastAt)}`;
  const list = samples.map(({ title }) => `\n- ${title}`).join("");
  return {
    title: cutText(`${rule.name}: storm over, ${batch.count} suppressed${keyText(batch)}`, TITLE_LENGTH),
    message:
      (rule.isForMembers
        ? `${span} ${countText(batch.count, "message")} notified no one: there were more than the limit of ` +
          `notifications allows.${storedText(rule, keys)}`
        : `${span} the rule suppressed ${batch.count} matches.${keysText(keys)}`) +
      (list === "" ? "" : `\nAmong them:${list}`),
  };
}

/** Where the messages of a receiver are. Its keys are checksums of bodies, which tell people nothing. */
function storedText({ id, projectId, name }: RuleRow, keys: readonly string[]): string {
  const count = keys.length > COUNTED_KEYS ? `more than ${COUNTED_KEYS}` : `${keys.length}`;
  const unread =
    keys.length === 0
      ? ""
      : `\nNot understood among them: ${count} different ${keys.length === 1 ? "message" : "messages"}.`;
  const list = id === projectId ? "prism events list" : `prism receivers requests "${name}"`;
  return `${unread}\nAll are stored: see Events in the console, or ${list}.`;
}

function keyText({ key }: Batch): string {
  return key === "" ? "" : ` (${key})`;
}

function keysText(keys: readonly string[]): string {
  if (keys.length === 0) return "";
  const listed = keys.slice(0, LISTED_KEYS).map((key) => cutText(key, KEY_LENGTH));
  const others = keys.length - listed.length;
  const more = keys.length > COUNTED_KEYS ? `more than ${COUNTED_KEYS - LISTED_KEYS} others` : `${others} more`;
  return `\nKeys: ${listed.join(", ")}${others > 0 ? ` and ${more}` : ""}.`;
}
