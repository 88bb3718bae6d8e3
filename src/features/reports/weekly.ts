import { OPERATOR } from "../../core/caller.ts";
import { countText } from "../../core/text/clean-text.ts";
import { DAY_MS, utcDate } from "../../core/time/clock.ts";
import type { Context } from "../../module/feature.ts";
import { type ReadDb, rowsOf } from "../../store/database.ts";
import { findProject, projectPeople } from "../access/index.ts";
import { followProjects, type ProjectDigest, sendDigestOnce } from "../notifications/digest/index.ts";
import { cutText } from "../rules/index.ts";
import type { RunningJob } from "../time/jobs/index.ts";
import type { ReportsContext } from "./range.ts";

/* The weekly digest of a project (`settings.digest.weekly`): incidents, noise and schedules, never people. */

type WeeklyContext = Context<"runner" | "jobs" | "schedules" | "projects" | "users" | "notify" | "reports">;

const KIND = "digest.weekly";
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
  const digest: ProjectDigest = {
    prefix: "prism:weekly:",
    kind: KIND,
    due(project) {
      const weekly = weeklyOf(project);
      return weekly && { ...weekly, timezone: weekly.timezone ?? context.settings.current.digest.timezone };
    },
  };
  const projects = await weeklyProjects(context.db.read);
  await followProjects(
    context,
    digest,
    projects.map(({ id }) => id),
  );
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

/** @param settings of a project, as JSON */
function weeklyOf(settings: string): { readonly cron: string; readonly timezone: string | null } | null {
  const { digest } = JSON.parse(settings) as { digest?: unknown };
  const { weekly, timezone = null } = (digest ?? {}) as { readonly weekly?: string; readonly timezone?: string };
  return weekly === undefined ? null : { cron: patternOf(weekly), timezone };
}

async function sendWeekly(context: WeeklyContext, job: RunningJob): Promise<unknown> {
  const { db, projects, users, clock } = context;
  const { projectId } = job.payload as Payload;
  const project = await findProject(db.read, projectId);
  if (!project || weeklyOf(project.settings) === null) return { told: 0 };
  const text = await weeklyText(context, projectId, project.name);
  const people = await projectPeople(db.read, projectId, projects.defaultId);
  const willing = people.filter(({ wantsDigest }) => wantsDigest).map(({ id }) => id);
  const recipients = [...users.reachable(willing, projectId)];
  return sendDigestOnce(context, job, {
    ...text,
    ...{ recipients, projectId, channels: ["in_app", "email", "service"], data: { projectId, weekly: true } },
    dedupeKey: `weekly:${projectId}:${utcDate(clock.now())}`,
  });
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
