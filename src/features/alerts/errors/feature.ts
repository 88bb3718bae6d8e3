import type { QueueName } from "../../../core/limits/queues.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { describeEvent } from "../../../core/text/describe-event.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { DEFAULT_CHANNELS } from "../../../http/api/shapes.ts";
import { feature } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { findProject, projectPeople } from "../../access/index.ts";
import { firstSeqSince } from "../../events/index.ts";
import { cutText } from "../../rules/index.ts";
import { COMPLETED, type RunningJob } from "../../time/jobs/index.ts";
import {
  type AlertMark,
  burstLabels,
  countErrors,
  type ErrorRange,
  ErrorWatch,
  type ErrorWatchContext,
  firstUndecided,
  isSilent,
  markOf,
  newestErrors,
  putMark,
  type RaisedBurst,
  sourcesIn,
} from "./error-watch.ts";

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const SAMPLE_LENGTH = 200;
const MOST_LINES = 5;

interface AlertFacts extends Pick<Reported, "count" | "windowMs" | "firstAt" | "lastAt" | "samples"> {
  readonly project: string;
}

interface Sample {
  readonly id: string;
  readonly type: string;
  readonly level: string;
  readonly source: string | null;
  /** JSON text. */
  readonly payload: string;
}

/** Title and text of an alert, in the app and by mail. */
function alertText({ project, count, windowMs, firstAt, lastAt, samples }: AlertFacts) {
  const errors = countText(count, "error");
  const message = [
    ...(samples.length > 0 ? [commonest(samples).join("\n")] : []),
    `${errors} in the project ${project} within ${spelledDuration(windowMs)}.`,
    `First: ${toRfc3339(firstAt)}\nLast: ${toRfc3339(lastAt)}`,
  ].join("\n\n");
  return {
    title: cutText(`${project}: ${errors} within ${spelledDuration(windowMs)}`, TITLE_LENGTH),
    message: cutText(message, MESSAGE_LENGTH),
  };
}

/** Frequent errors with counts, the commonest first: `6 × Card refused (shop)`. */
function commonest(samples: readonly Sample[]): string[] {
  const counts = new Map<string, number>();
  for (const { payload, ...event } of samples) {
    const { title, message } = describeEvent({ ...event, payload: JSON.parse(payload) as Record<string, unknown> });
    const place = event.source === null || title.includes(event.source) ? "" : ` (${event.source})`;
    const said = message.split("\n", 1)[0] ?? "";
    const rest = said === "" || title.includes(said) ? "" : `: ${said}`;
    const text = cutText(`${title}${place}${rest}`, SAMPLE_LENGTH);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const lines = sorted.slice(0, MOST_LINES).map(([text, count]) => `${count} × ${text}`);
  const others = sorted.slice(MOST_LINES).reduce((sum, [, count]) => sum + count, 0);
  return others === 0 ? lines : [...lines, `${others} × others`];
}

const UNITS = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
] as const;

/** In the largest unit without a fraction. */
function spelledDuration(ms: number): string {
  const [size, unit] = UNITS.find(([unitMs]) => ms % unitMs === 0) ?? [1, "millisecond"];
  return countText(ms / size, unit);
}

const QUEUE: QueueName = "alert";
const ALERT_JOB = "alert";
/** High enough for a phone to make a sound at night. */
const PRIORITY = 500;

/** An alert says what the latest errors are about, and has the ids of a few. */
const SAMPLES = 100;
const LISTED_IDS = 5;
/** An error is decided in this time, unless its rules fail. */
const DECIDED_MS = 30_000;
const LOOK_AGAIN_MS = 1000;

interface AlertPayload extends Pick<RaisedBurst, "count" | "lastAt" | "lastSeq"> {
  readonly projectId: string;
  readonly windowMs: number;
  /** Undefined in jobs of earlier versions. */
  readonly isFollowUp?: boolean;
}

/** The errors that an alert reports, as stored. */
interface Reported {
  /** A silence holds the others. */
  readonly isSilenced: boolean;
  readonly isUndecided: boolean;
  readonly range: ErrorRange;
  readonly count: number;
  readonly windowMs: number;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly lastSeq: number;
  /** The newest ones, oldest first. */
  readonly samples: readonly Sample[];
}

/**
 * What the built-in rule about errors does: alerts of many errors within a short time. One job per project at a time notifies its members,
 * in the app and by mail; then the project is silent for a while. The notification, the mark of the
 * silence and the end of the job share a transaction: a restart neither loses nor repeats an alert.
 */
export class ErrorAlert {
  readonly #context: ErrorWatchContext;
  readonly #watch: ErrorWatch;

  constructor(context: ErrorWatchContext) {
    this.#context = context;
    this.#watch = new ErrorWatch(context, (projectId, burst) => this.#raise(projectId, burst));
    context.runner.handle(ALERT_JOB, (job) => this.#notify(job));
  }

  start(): void {
    void this.#watch.start();
  }

  async #raise(projectId: string, { runAt, ...burst }: RaisedBurst): Promise<void> {
    const { jobs, settings } = this.#context;
    const payload: AlertPayload = { projectId, windowMs: settings.alert.windowMs, ...burst };
    // A separate key: an alert that is due now must not wait for the end of a silence.
    const dedupeKey = burst.isFollowUp ? `alert:${projectId}:silence` : `alert:${projectId}`;
    await jobs.enqueue({ queue: QUEUE, kind: ALERT_JOB, payload, runAt, dedupeKey });
  }

  async #notify(job: RunningJob): Promise<typeof COMPLETED> {
    const { db, jobs, clock, settings } = this.#context;
    const payload = job.payload as AlertPayload;
    const { projectId } = payload;
    const reported = await this.#reported(payload, await markOf(db.read, projectId));
    let fewer = false;
    try {
      const latest = await db.write(async (trx) => {
        fewer = false;
        const now = clock.now();
        const { cooldownMs } = settings.alert;
        const mark = await markOf(trx, projectId);
        const isEarly = mark !== null && isSilent(now, mark.at, cooldownMs);
        if (mark && isEarly && payload.isFollowUp && mark.upToSeq < payload.lastSeq) {
          await jobs.postpone(job, trx, mark.at + cooldownMs);
          return null;
        }
        if (mark && (mark.upToSeq >= payload.lastSeq || isEarly)) {
          await jobs.complete(job, trx, { told: 0 });
          return mark;
        }
        if (reported.isUndecided) {
          await jobs.postpone(job, trx, now + LOOK_AGAIN_MS);
          return null;
        }
        if (reported.count < payload.count) {
          await jobs.complete(job, trx, { told: 0 });
          fewer = true;
          return null;
        }
        const result = await this.#notifyPeople(projectId, reported, job, trx);
        const made = { at: now, upToSeq: reported.lastSeq };
        await putMark(trx, projectId, made);
        await jobs.complete(job, trx, result);
        return made;
      });
      if (fewer) this.#watch.recounted(projectId, reported.isSilenced ? reported.lastSeq : reported.range.after);
      if (latest) this.#watch.notified(projectId, latest.at, latest.upToSeq);
    } catch (error) {
      this.#watch.released(projectId);
      throw error;
    }
    return COMPLETED;
  }

  /** At the end of a silence all its errors are reported, not only those of the job. */
  async #reported(payload: AlertPayload, mark: AlertMark | null): Promise<Reported> {
    const { db, settings } = this.#context;
    const { projectId, windowMs, isFollowUp = false, count, lastAt, lastSeq } = payload;
    const start = lastAt - windowMs;
    const whole: ErrorRange = {
      projectId,
      after: Math.max(mark?.upToSeq ?? 0, isFollowUp ? 0 : (await firstSeqSince(db.scan, start)) - 1),
      upTo: isFollowUp ? Number.MAX_SAFE_INTEGER : lastSeq,
      since: isFollowUp ? Number.MIN_SAFE_INTEGER : start,
      limit: isFollowUp ? Number.MAX_SAFE_INTEGER : count,
    };
    const silenced = await this.#silenced(projectId, whole);
    const undecided = await firstUndecided(db.scan, { ...whole, silenced }, this.#context.clock.now() - DECIDED_MS);
    const isUndecided = undecided !== null && undecided <= lastSeq;
    // Errors that keep coming do not postpone it: those that rules still have to decide are left to the next alert.
    const upTo = undecided === null || isUndecided ? whole.upTo : undecided - 1;
    const range = { ...whole, silenced, upTo };
    const stored = await countErrors(db.scan, range);
    return {
      range,
      isSilenced: silenced.length > 0,
      isUndecided,
      count: stored.count,
      windowMs: isFollowUp ? Math.max(windowMs, settings.alert.cooldownMs) : windowMs,
      firstAt: stored.firstAt ?? lastAt,
      lastAt: stored.lastAt ?? lastAt,
      lastSeq: Math.max(lastSeq, stored.lastSeq ?? 0),
      samples: await newestErrors(db.scan, range, SAMPLES),
    };
  }

  /** The sources whose errors a silence matches. */
  async #silenced(projectId: string, range: ErrorRange): Promise<(string | null)[]> {
    const { db, silences, clock } = this.#context;
    const { slug } = (await findProject(db.read, projectId)) ?? { slug: "" };
    const now = clock.now();
    const isSilenced = (source: string | null): boolean => {
      const labels = burstLabels(slug, source);
      return silences.silencing(projectId, { label: (name) => labels[name] ?? "" }, now).length > 0;
    };
    return (await sourcesIn(db.scan, range)).filter(isSilenced);
  }

  async #notifyPeople(
    projectId: string,
    { count, windowMs, firstAt, lastAt, samples }: Reported,
    job: RunningJob,
    trx: Trx,
  ): Promise<{ told: number }> {
    const { notify, users, projects } = this.#context;
    const project = await findProject(trx, projectId);
    if (!project) return { told: 0 };
    const people = await projectPeople(trx, projectId, projects.defaultId);
    const recipients = users.reachable(
      people.map(({ id }) => id),
      projectId,
    );
    if (recipients.length === 0) return { told: 0 };
    const { emailAlerts } = JSON.parse(project.settings) as { emailAlerts?: boolean };
    await notify.send(
      {
        ...alertText({ project: project.name, count, windowMs, firstAt, lastAt, samples }),
        kind: "alert",
        recipients,
        projectId,
        priority: PRIORITY,
        channels: emailAlerts === false ? DEFAULT_CHANNELS : [...DEFAULT_CHANNELS, "email"],
        data: {
          projectId,
          count,
          windowMs,
          firstAt: toRfc3339(firstAt),
          lastAt: toRfc3339(lastAt),
          eventIds: samples.slice(-LISTED_IDS).map(({ id }) => id),
        },
        correlationId: job.correlationId,
      },
      { trx },
    );
    return { told: recipients.length };
  }
}

/** Alerts the people of a project of errors in quick succession. It has no routes. */
export const errorAlertFeature = feature("error-alert", {
  needs: ["runner", "jobs", "announcer", "projects", "users", "notify", "silences"],
  register: (_server, context) => new ErrorAlert(context).start(),
});
