import { sql } from "kysely";
import { DAY_MS, type EpochMs, MINUTE_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import { rowsOf, type Trx } from "../../../store/database.ts";
import { namesOfWays, type PageRow } from "../../delivery/index.ts";
import { COMPLETED } from "../../time/jobs/index.ts";
import { responsibleFor } from "../ways/responsible.ts";
import type { IncidentParts } from "./context.ts";
import type { IncidentRow } from "./incident.ts";

/*
 * Notices of failed ways to those who look after a project: docs/alerts.md, "Failed ways". They are
 * sent directly, not by rules; at most one in 15 minutes to a person, whose text follows meanwhile,
 * and one when the ways accept messages again.
 */

const EVERY_MS = 15 * MINUTE_MS;
const JOB = "incident.ways";
/** Not held by quiet hours: pages do not arrive. */
const PRIORITY = 500;
const CHANNELS = ["in_app", "pusher", "fcm", "apns", "webpush", "email"];
const LISTED = 20;
/** A notice that found the queues full is sent as soon after. */
const FULL_MS = MINUTE_MS;

interface Way {
  readonly target: string;
  readonly name: string;
  readonly userId: string | null;
  readonly channel: string | null;
  readonly policyId: string;
  readonly error: string;
  readonly since: EpochMs;
}

/** Pages of an incident count as failed from now on. */
export async function waysFailed(
  parts: IncidentParts,
  trx: Trx,
  { projectId, policyId }: IncidentRow,
  pages: readonly PageRow[],
): Promise<void> {
  const now = parts.clock.now();
  let isNew = false;
  for (const { target, kind, provider, channel, lastError } of pages) {
    // Pusher is a live connection of the app.
    if (channel === "pusher") continue;
    const error = lastError ?? "";
    const known = await trx
      .selectFrom("failed_ways")
      .select("failedAt")
      .where("target", "=", target)
      .where("projectId", "=", projectId)
      .executeTakeFirst();
    const since = known && known.failedAt > now - DAY_MS ? {} : { since: now };
    await trx
      .insertInto("failed_ways")
      .values({ target, projectId, kind, provider, policyId, error, failedAt: now, since: now })
      .onConflict((conflict) =>
        conflict.columns(["target", "projectId"]).doUpdateSet({ error, failedAt: now, ...since }),
      )
      .execute();
    isNew ||= "since" in since;
  }
  if (isNew) await report(parts, trx, projectId, now);
}

const FAILED_AMONG = "select distinct target from failed_ways where target in (select value from json_each(?))";

/** Those targets of the pages that have failed. */
export async function failedAmong(trx: Trx, pages: readonly PageRow[]): Promise<ReadonlySet<string>> {
  const targets = [...new Set(pages.map(({ target }) => target))];
  const rows = await rowsOf<{ target: string }>(trx, FAILED_AMONG, [JSON.stringify(targets)]);
  return new Set(rows.map(({ target }) => target));
}

/** Pages were accepted. */
export async function waysWork(parts: IncidentParts, trx: Trx, pages: readonly PageRow[]): Promise<void> {
  const targets = [...new Set(pages.map(({ target }) => target))];
  const mended = await trx.deleteFrom("failed_ways").where("target", "in", targets).returningAll().execute();
  if (mended.length === 0) return;
  const now = parts.clock.now();
  const names = await namesOfWays(trx, mended);
  for (const projectId of new Set(mended.map((way) => way.projectId))) {
    if (await hasWaiting(trx, projectId)) {
      await report(parts, trx, projectId, now);
      continue;
    }
    // Nothing waits for the others: their next page shows whether they work.
    await trx.deleteFrom("failed_ways").where("projectId", "=", projectId).execute();
    const own = mended.filter((way) => way.projectId === projectId);
    const works = own.map(({ target }) => names.get(target)?.name ?? target);
    await reportEnd(parts, trx, projectId, works, now);
  }
}

/** Registers the job that sends a notice that had to wait. */
export function handleWayNotices(parts: IncidentParts): void {
  parts.runner.handle(JOB, async (job) => {
    const { projectId } = job.payload as { readonly projectId: string };
    await parts.db.write(async (trx) => {
      await parts.jobs.complete(job, trx);
      await report(parts, trx, projectId, parts.clock.now());
    });
    return COMPLETED;
  });
}

async function hasWaiting(trx: Trx, projectId: string): Promise<boolean> {
  const row = await trx
    .selectFrom("failed_ways as w")
    .innerJoin("pages as p", "p.target", "w.target")
    .select("p.id")
    .where("w.projectId", "=", projectId)
    .where("p.endedAt", "is", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Ways that failed within a day, or have waiting messages; the longest first. */
async function waysOf(trx: Trx, projectId: string, now: EpochMs): Promise<Way[]> {
  const rows = await trx
    .selectFrom("failed_ways as w")
    .selectAll("w")
    .where("w.projectId", "=", projectId)
    .where((e) =>
      e.or([
        e("w.failedAt", ">", now - DAY_MS),
        e.exists(
          e
            .selectFrom("pages as p")
            .select(sql.lit(1).as("one"))
            .whereRef("p.target", "=", "w.target")
            .where("p.endedAt", "is", null),
        ),
      ]),
    )
    .orderBy("w.since")
    .execute();
  const names = await namesOfWays(trx, rows);
  return rows.flatMap(({ target, policyId, error, since }) => {
    const { name = target, userId = null, channel = null, isGone = false } = names.get(target) ?? {};
    return isGone ? [] : [{ target, name, userId, channel, policyId, error, since }];
  });
}

/** Sends a notice of the failed ways, changes the last one, or plans the next one. */
async function report(parts: IncidentParts, trx: Trx, projectId: string, now: EpochMs): Promise<void> {
  const ways = await waysOf(trx, projectId, now);
  if (ways.length === 0 || parts.projects.isMirror(projectId)) return;
  // Nor would the outcome of the page be stored, which may page others.
  if (isFull(parts)) return sendLater(parts, trx, projectId, (Math.floor(now / FULL_MS) + 1) * FULL_MS);
  const text = failedText(await nameOf(trx, projectId), ways);
  const policyIds = [...new Set(ways.map(({ policyId }) => policyId))];
  const { users, isOfProject } = await responsibleFor(parts.users, trx, projectId, policyIds);
  for (const userId of users) {
    const last = await noticeOf(trx, projectId, userId);
    const isReported = last !== undefined && ways.every(({ since }) => since <= last.sentAt);
    if (!last || (!isReported && last.sentAt + EVERY_MS <= now)) {
      const data = {
        ways: ways.slice(0, LISTED).map(({ name, error, since }) => ({ name, error, since: toRfc3339(since) })),
      };
      const notice = { ...text, data, projectId: isOfProject ? projectId : null };
      const notificationId = await send(parts, trx, { userId, without: channelsOf(ways, userId), notice, now });
      await trx
        .insertInto("way_notices")
        .values({ projectId, userId, notificationId, sentAt: now, endedAt: null })
        .onConflict((conflict) =>
          conflict.columns(["projectId", "userId"]).doUpdateSet({ notificationId, sentAt: now, endedAt: null }),
        )
        .execute();
      continue;
    }
    if (last.endedAt === null) await parts.notify.update(last.notificationId, text, trx);
    if (!isReported) await sendLater(parts, trx, projectId, last.sentAt + EVERY_MS);
  }
}

/** Whether a notice outside of the app would be refused. */
function isFull({ runner }: IncidentParts): boolean {
  return runner.isFull("notification-delivery");
}

async function sendLater(parts: IncidentParts, trx: Trx, projectId: string, at: EpochMs): Promise<void> {
  const { jobs, runner, clock } = parts;
  // The next way that fails reports this one as well.
  if (runner.isFull("alert")) return;
  const runAt = clock.toWall(at);
  const dedupeKey = `ways:${projectId}:${runAt}`;
  await jobs.enqueue({ queue: "alert", kind: JOB, payload: { projectId }, runAt, dedupeKey }, { trx });
}

/** The ways accept messages again: those who have a notice of their failure get another one. */
async function reportEnd(
  parts: IncidentParts,
  trx: Trx,
  projectId: string,
  names: readonly string[],
  now: EpochMs,
): Promise<void> {
  const open = await trx
    .selectFrom("way_notices")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("endedAt", "is", null)
    .execute();
  const noticed = open.map(({ userId }) => userId);
  const users = new Set(parts.users.reachable(noticed, null));
  const title = `Pages of ${await nameOf(trx, projectId)} arrive again`;
  const message = `These ways work again: ${listed(names).join(", ")}.`;
  for (const { userId } of open.filter((each) => users.has(each.userId))) {
    const isMember = parts.users.reachable([userId], projectId).length > 0;
    const notice = { title, message, data: { mended: names }, projectId: isMember ? projectId : null };
    await send(parts, trx, { userId, without: [], notice, now });
  }
  await trx
    .updateTable("way_notices")
    .set({ endedAt: now })
    .where("projectId", "=", projectId)
    .where("endedAt", "is", null)
    .execute();
}

function noticeOf(trx: Trx, projectId: string, userId: string) {
  return trx
    .selectFrom("way_notices")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("userId", "=", userId)
    .executeTakeFirst();
}

async function nameOf(trx: Trx, projectId: string): Promise<string> {
  const row = await trx.selectFrom("projects").select("name").where("id", "=", projectId).executeTakeFirst();
  return row?.name ?? "a project";
}

/** The person's own channels that fail: a notice by them does not arrive either. */
function channelsOf(ways: readonly Way[], userId: string): string[] {
  return ways.flatMap((way) => (way.userId === userId && way.channel !== null ? [way.channel] : []));
}

interface WayNotice {
  readonly title: string;
  readonly message: string;
  readonly data: object;
  readonly projectId: string | null;
}

async function send(
  parts: IncidentParts,
  trx: Trx,
  given: {
    readonly userId: string;
    readonly without: readonly string[];
    readonly notice: WayNotice;
    readonly now: EpochMs;
  },
): Promise<string> {
  const { userId, without, notice, now } = given;
  const channels = isFull(parts) ? ["in_app"] : CHANNELS.filter((each) => !without.includes(each));
  const stored = notificationRow({
    ...notice,
    ...{ kind: "direct", priority: PRIORITY, createdAt: now },
    data: JSON.stringify(notice.data),
    channels: JSON.stringify(channels),
  });
  await parts.notify.store(stored, [userId], trx, {});
  return stored.id;
}

function failedText(project: string, ways: readonly Way[]): Pick<WayNotice, "title" | "message"> {
  const [first, ...others] = ways;
  const which = first && others.length === 0 ? first.name : `${ways.length} ways fail`;
  const lines = ways.map(({ name, since, error }) => `- ${name}, since ${toRfc3339(since)}: ${error}`);
  const outlook = "Prism keeps trying until the pages are accepted.";
  return { title: `Pages of ${project} do not arrive: ${which}`, message: `${listed(lines).join("\n")}\n\n${outlook}` };
}

function listed(lines: readonly string[]): string[] {
  const more = lines.length - LISTED;
  return more > 0 ? [...lines.slice(0, LISTED), `and ${more} more`] : [...lines];
}

/** Deletes what is known of the ways of a person who is deleted. */
export async function forgetWays(trx: Trx, userId: string): Promise<void> {
  for (const channel of ["email", "webhook", "service", "fcm", "apns", "webpush", "pusher"]) {
    const [from, before] = [`${channel} ${userId} `, `${channel} ${userId}!`];
    await trx.deleteFrom("failed_ways").where("target", ">=", from).where("target", "<", before).execute();
  }
  await trx.deleteFrom("way_notices").where("userId", "=", userId).execute();
}
