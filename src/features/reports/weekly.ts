import { OPERATOR } from "../../core/caller.ts";
import type { QueueName } from "../../core/limits/queues.ts";
import { countText } from "../../core/text/clean-text.ts";
import { DAY_MS, utcDate } from "../../core/time/clock.ts";
import type { Context } from "../../module/feature.ts";
import { type ReadDb, rowsOf } from "../../store/database.ts";
import { findProject, projectPeople } from "../access/index.ts";
import { cutText } from "../rules/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";
import type { ReportsContext } from "./range.ts";

/* The weekly digest of a project (`settings.digest.weekly`): incidents, noise and schedules, never people. */

type WeeklyContext = Context<"runner" | "jobs" | "schedules" | "projects" | "users" | "notify" | "reports">;

const QUEUE: QueueName = "digest";
const KIND = "digest.weekly";
const SCHEDULE = "prism:weekly:";
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const KEYS = 5;

interface Payload {
  readonly projectId: string;
}

/** A project that wants one has a recurring job, which follows its settings. */
export async function startWeekly(context: WeeklyContext): Promise<void> {
  context.runner.handle(KIND, (job) => sendWeekly(context, job));
  context.events.on("project:changed", (payload) => followProject(context, (payload as { readonly id: string }).id));
  for (const { id } of await weeklyProjects(context.db.read)) await followProject(context, id);
}

const WEEKLY = `select id from projects where deletedAt is null and settings ->> '$.digest.weekly' is not null`;

function weeklyProjects(db: ReadDb) {
  return rowsOf<{ id: string }>(db, WEEKLY, []);
}

/** `mon 09:00` as a pattern of cron. */
function patternOf(weekly: string): string {
  const [day = "", time = ""] = weekly.split(" ");
  const [hour, minute] = time.split(":").map(Number);
  return `${minute} ${hour} * * ${DAYS.indexOf(day)}`;
}

/** @param settings of a project, as JSON; undefined: there is no such project */
function weeklyOf(settings: string | undefined): { readonly cron: string; readonly timezone: string | null } | null {
  const { digest } = JSON.parse(settings ?? "{}") as { digest?: unknown };
  const { weekly, timezone = null } = (digest ?? {}) as { readonly weekly?: string; readonly timezone?: string };
  return weekly === undefined ? null : { cron: patternOf(weekly), timezone };
}

async function followProject(context: WeeklyContext, projectId: string): Promise<void> {
  const { db, schedules, settings } = context;
  const name = SCHEDULE + projectId;
  const wanted = weeklyOf((await findProject(db.read, projectId))?.settings);
  const schedule = await schedules.findByName(name);
  const timezone = wanted?.timezone ?? settings.current.digest.timezone;
  if (schedule?.cron === wanted?.cron && (wanted === null || schedule?.timezone === timezone)) return;
  await db.write(async (trx) => {
    const now = weeklyOf((await findProject(trx, projectId))?.settings);
    if (now === null) await schedules.remove(name, { trx });
    else
      await schedules.put(
        { name, cron: now.cron, timezone, queue: QUEUE, kind: KIND, payload: { projectId } },
        { trx },
      );
  });
}

const SENT = "select 1 from notifications where ruleId is null and dedupeKey = ?";

async function sendWeekly(context: WeeklyContext, job: RunningJob): Promise<unknown> {
  const { db, jobs, projects, users, clock } = context;
  const { projectId } = job.payload as Payload;
  const project = await findProject(db.read, projectId);
  if (!project || weeklyOf(project.settings) === null) return { told: 0 };
  const text = await weeklyText(context, projectId, project.name);
  const people = await projectPeople(db.read, projectId, projects.defaultId);
  const willing = people.filter(({ wantsDigest }) => wantsDigest).map(({ id }) => id);
  const recipients = [...users.reachable(willing, projectId)];
  const dedupeKey = `weekly:${projectId}:${utcDate(clock.now())}`;
  await db.write(async (trx) => {
    // An operator may have run it a second time.
    const [sent] = await rowsOf(trx, SENT, [`system ${dedupeKey}`]);
    const isDue = recipients.length > 0 && sent === undefined;
    if (isDue)
      await context.notify.send(
        {
          ...{ ...text, kind: "digest", recipients, projectId, channels: ["in_app", "email", "service"] },
          ...{ data: { projectId, weekly: true }, dedupeKey },
          correlationId: job.correlationId,
        },
        { trx },
      );
    await jobs.complete(job, trx, { told: isDue ? recipients.length : 0 });
  });
  return COMPLETED;
}

/** Also without a caller: the readers are the people of the project. */
async function weeklyText(context: ReportsContext, project: string, name: string) {
  const { incidentsReport } = await import("./incidents-report.ts");
  const { noiseReport } = await import("./noise.ts");
  const { schedulesReport } = await import("./schedules-report.ts");
  const { incidentLines, noiseLines, scheduleLines } = await import("./report-text.ts");
  const query = { project, from: context.clock.now() - 7 * DAY_MS };
  const incidents = await incidentsReport(context, OPERATOR, { ...query, by: "severity" });
  const noise = noiseLines(await noiseReport(context, OPERATOR, query), KEYS);
  const schedules = scheduleLines(await schedulesReport(context, OPERATOR, query));
  const parts = [
    incidentLines(incidents).join("\n"),
    ...(noise.length > 0 ? [`What paged most:\n${noise.join("\n")}`] : []),
    ...(schedules.length > 0 ? [`On call:\n${schedules.join("\n")}`] : []),
  ];
  return {
    title: cutText(`${name}: ${countText(incidents.total.incidents, "incident")} in 7 days`, TITLE_LENGTH),
    message: cutText(parts.join("\n\n"), MESSAGE_LENGTH),
  };
}
