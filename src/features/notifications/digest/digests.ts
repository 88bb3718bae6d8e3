import { ConfigRefused } from "../../../config/option.ts";
import { PrismError } from "../../../core/errors.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { LEVELS } from "../../../core/text/vocabulary.ts";
import { DAY_MS, dateIn } from "../../../core/time/clock.ts";
import { findProject, projectPeople } from "../../access/index.ts";
import { cutText } from "../../rules/index.ts";
import type { RunningJob } from "../../time/jobs/index.ts";
import { readCron } from "../../time/schedules/index.ts";
import {
  DIGEST_QUEUE,
  type DigestContext,
  followProject,
  followProjects,
  type ProjectDigest,
  sendDigestOnce,
} from "./project-digests.ts";
import type { EventCount, RuleCount } from "./queries.ts";
import * as queries from "./queries.ts";

const SEND = "digest";
/** Kind of the job that creates the digests of projects without a setting. */
const SEND_DEFAULT = "digest.default";
const DEFAULT_SCHEDULE = "prism:digest";
const SCHEDULE = "prism:digest:";
/** Projects per transaction. */
const PROJECTS_AT_ONCE = 100;
/** Limit of types and levels in the data for apps; the text names fewer. */
const DATA_EVENTS = 50;

interface DigestPayload {
  readonly projectId: string;
  /** The project has no setting: it gets a digest on days with events. */
  readonly isDefault?: boolean;
}

/**
 * Sends a project's members a daily digest. A project that wants one has a schedule, which follows
 * its settings. The key of the notification is `digest:<projectId>:<date>`.
 */
export function startDigests(context: DigestContext): Promise<void> {
  context.runner.handle(SEND, (job) => sendDigest(context, job));
  context.runner.handle(SEND_DEFAULT, () => sendDefault(context));
  context.events.on("system:reloaded", () => followDefault(context));
  return adoptSettings(context);
}

/**
 * Applies the configured pattern and zone, and project settings changed while the server was down.
 * @throws ConfigRefused
 */
async function adoptSettings(context: DigestContext): Promise<void> {
  const { db, settings } = context;
  requirePattern(settings.current.digest.cron);
  const projects = await queries.liveProjects(db.read);
  const wanting = projects.filter(({ settings }) => digestOf(settings).isWanted);
  await followProjects(
    context,
    dailyOf(context),
    wanting.map(({ id }) => id),
  );
  await followDefault(context);
}

/** Whether projects without a setting get a digest. */
function hasDefault({ settings }: DigestContext): boolean {
  const { digest, smtp } = settings.current;
  return digest.enabled ?? smtp.host !== undefined;
}

async function followDefault(context: DigestContext): Promise<void> {
  const { db, schedules, settings } = context;
  const { cron, timezone } = settings.current.digest;
  const schedule = { name: DEFAULT_SCHEDULE, cron, timezone, queue: DIGEST_QUEUE, kind: SEND_DEFAULT } as const;
  if (hasDefault(context)) await schedules.put(schedule);
  else if (await schedules.findByName(DEFAULT_SCHEDULE))
    await db.write((trx) => schedules.remove(DEFAULT_SCHEDULE, { trx }));
}

async function sendDefault(context: DigestContext): Promise<{ projects: number }> {
  const { db, jobs, clock } = context;
  const projects = (await queries.liveProjects(db.read)).filter(({ settings }) => digestOf(settings).isUnset);
  for (let from = 0; from < projects.length; from += PROJECTS_AT_ONCE)
    await db.write(async (trx) => {
      for (const { id: projectId } of projects.slice(from, from + PROJECTS_AT_ONCE)) {
        const payload: DigestPayload = { projectId, isDefault: true };
        const dedupeKey = `digest:default:${projectId}`;
        await jobs.enqueue({ queue: DIGEST_QUEUE, kind: SEND, payload, runAt: clock.now(), dedupeKey }, { trx });
      }
    });
  return { projects: projects.length };
}

/** Of projects that want one by their setting. */
function dailyOf({ settings }: DigestContext): ProjectDigest {
  return {
    prefix: SCHEDULE,
    kind: SEND,
    due(project) {
      const { cron, timezone } = settings.current.digest;
      const { isWanted, zone } = digestOf(project);
      return isWanted ? { cron, timezone: zone ?? timezone } : null;
    },
  };
}

async function sendDigest(context: DigestContext, job: RunningJob): Promise<unknown> {
  const { db, clock, settings } = context;
  const { projectId, isDefault = false } = job.payload as DigestPayload;
  const project = await findProject(db.read, projectId);
  const { isWanted, isUnset, zone } = digestOf(project?.settings ?? "{}");
  if (!project || !(isDefault ? isUnset && hasDefault(context) : isWanted)) {
    await followProject(context, dailyOf(context), projectId);
    return { told: 0 };
  }
  const now = clock.now();
  const activity = await queries.activitySince(db.scan, projectId, now - DAY_MS);
  const hasEvents = activity.events.length > 0;
  const readers = isDefault && !hasEvents ? [] : await readersOf(context, projectId, hasEvents);
  return sendDigestOnce(context, job, {
    ...digestText({ project: project.name, ...activity }),
    ...{ recipients: readers, projectId, channels: ["in_app", "email"] },
    data: { projectId, events: activity.events.slice(0, DATA_EVENTS), rules: activity.rules },
    dedupeKey: `digest:${projectId}:${dateIn(zone ?? settings.current.digest.timezone, now)}`,
  });
}

/** Users who want a digest and for whom it has content: events, or unread notifications. */
async function readersOf(context: DigestContext, projectId: string, hasEvents: boolean): Promise<string[]> {
  const { db, projects, users } = context;
  const people = await projectPeople(db.read, projectId, projects.defaultId);
  const willing = people.filter(({ wantsDigest }) => wantsDigest).map(({ id }) => id);
  const reachable = users.reachable(willing, projectId);
  if (hasEvents || reachable.length === 0) return [...reachable];
  const unread = await queries.withUnread(db.scan, reachable);
  return reachable.filter((id) => unread.has(id));
}

/** `digest` in a project's settings: true, or an object with its time zone; the weekly one is of the reports. */
function digestOf(settings: string): {
  readonly isWanted: boolean;
  readonly isUnset: boolean;
  readonly zone: string | null;
} {
  const { digest } = JSON.parse(settings) as {
    digest?: boolean | { readonly timezone?: string; readonly daily?: boolean };
  };
  if (typeof digest === "object")
    return { isWanted: digest.daily !== false, isUnset: false, zone: digest.timezone ?? null };
  return { isWanted: digest === true, isUnset: digest === undefined, zone: null };
}

/** Checked here, because configuration checks do not know patterns. @throws ConfigRefused */
function requirePattern(cron: string): void {
  try {
    readCron(cron);
  } catch (error) {
    if (error instanceof PrismError) throw new ConfigRefused([`digest.cron: ${error.message}`]);
    throw error;
  }
}

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const TYPES = 10;

interface DigestFacts {
  readonly project: string;
  readonly events: readonly EventCount[];
  readonly rules: readonly RuleCount[];
}

/** Title and text of a digest, for all its readers. */
function digestText({ project, events, rules }: DigestFacts) {
  const total = sumOf(events);
  const what = total === 0 ? "no events" : countText(total, "event");
  const parts = [
    `The project ${project} had ${what} in the last 24 hours.`,
    ...(total > 0 ? [`By level: ${byLevel(events)}.`, `By type:\n${byType(events)}`] : []),
    ...(rules.length > 0 ? [`Rules with the most notifications:\n${rules.map(ruleLine).join("\n")}`] : []),
  ];
  return {
    title: cutText(`${project}: ${what} in the last 24 hours`, TITLE_LENGTH),
    message: cutText(parts.join("\n\n"), MESSAGE_LENGTH),
  };
}

function sumOf(counts: readonly EventCount[]): number {
  return counts.reduce((sum, { events }) => sum + events, 0);
}

/** Worst first. */
function byLevel(counts: readonly EventCount[]): string {
  return [...LEVELS]
    .reverse()
    .map((level) => [level, sumOf(counts.filter((count) => count.level === level))] as const)
    .filter(([, events]) => events > 0)
    .map(([level, events]) => `${level} ${events}`)
    .join(", ");
}

/** Most frequent first. */
function byType(counts: readonly EventCount[]): string {
  const sums = new Map<string, number>();
  for (const { type, events } of counts) sums.set(type, (sums.get(type) ?? 0) + events);
  const sorted = [...sums].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const lines = sorted.slice(0, TYPES).map(([type, events]) => `- ${type}: ${events}`);
  const more = sorted.length - lines.length;
  return [...lines, ...(more > 0 ? [`- and ${more} further types`] : [])].join("\n");
}

function ruleLine({ name, matched, fired }: RuleCount): string {
  return `- ${name}: notified for ${fired} of ${matched} matches`;
}
