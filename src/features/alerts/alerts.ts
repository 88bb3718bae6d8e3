import { toRfc3339 } from "../../core/clock.ts";
import { DEFAULT_CHANNELS } from "../../http/message-shapes.ts";
import type { Trx } from "../../store/database.ts";
import { projectPeople } from "../access/index.ts";
import { COMPLETED, type QueueName, type RunningJob } from "../jobs/index.ts";
import { alertText } from "./alert-text.ts";
import type { AlertsContext } from "./error-watch.ts";
import { ErrorWatch, isSilent, type RaisedBurst } from "./error-watch.ts";
import type { ErrorBurst } from "./error-window.ts";
import * as queries from "./queries.ts";

const QUEUE: QueueName = "alert";
const TELL = "alert";
/** High enough for a phone to make a sound at night. */
const PRIORITY = 500;

interface AlertPayload extends ErrorBurst {
  readonly projectId: string;
  readonly windowMs: number;
  /** Absent in jobs of earlier versions. */
  readonly isFollowUp?: boolean;
}

/**
 * Errors in quick succession: one job per project at a time tells its people, in the app and by mail, and then the project is silent for a while.
 * The notification, the mark of the silence and the job's own end are one transaction: a restart neither loses an alert nor repeats one.
 */
export class Alerts {
  readonly #context: AlertsContext;
  readonly #watch: ErrorWatch;

  constructor(context: AlertsContext) {
    this.#context = context;
    this.#watch = new ErrorWatch(context, (projectId, burst) => this.#raise(projectId, burst));
    context.runner.handle(TELL, (job) => this.#tell(job));
  }

  start(): void {
    void this.#watch.start();
  }

  async #raise(projectId: string, { runAt, ...burst }: RaisedBurst): Promise<void> {
    const { jobs, settings } = this.#context;
    const payload: AlertPayload = { projectId, windowMs: settings.alert.windowMs, ...burst };
    // A key of its own: an alert that is due now must not wait for the end of a silence.
    const dedupeKey = burst.isFollowUp ? `alert:${projectId}:silence` : `alert:${projectId}`;
    await jobs.enqueue({ queue: QUEUE, kind: TELL, payload, runAt, dedupeKey });
  }

  async #tell(job: RunningJob): Promise<typeof COMPLETED> {
    const { db, jobs, clock, settings } = this.#context;
    const payload = this.#withUntold(job.payload as AlertPayload);
    const { projectId } = payload;
    const samples = await queries.eventsOf(db.read, payload.samples);
    try {
      const told = await db.write(async (trx) => {
        const now = clock.now();
        const { cooldownMs } = settings.alert;
        const mark = await queries.markOf(trx, projectId);
        const isEarly = mark !== null && isSilent(now, mark.at, cooldownMs);
        if (mark && isEarly && payload.isFollowUp && mark.upToSeq < payload.lastSeq) {
          await jobs.postpone(job, trx, mark.at + cooldownMs);
          return null;
        }
        if (mark && (mark.upToSeq >= payload.lastSeq || isEarly)) {
          await jobs.complete(job, trx, { told: 0 });
          return { at: mark.at, burst: { ...payload, count: 0, lastSeq: mark.upToSeq } };
        }
        const result = await this.#tellPeople(payload, samples, job, trx);
        await queries.putMark(trx, projectId, { at: now, upToSeq: payload.lastSeq });
        await jobs.complete(job, trx, result);
        return { at: now, burst: payload };
      });
      if (told) this.#watch.told(projectId, told.at, told.burst);
    } catch (error) {
      this.#watch.released(projectId);
      throw error;
    }
    return COMPLETED;
  }

  /** At the end of a silence all of its errors are told, not only those that made the job. */
  #withUntold(payload: AlertPayload): AlertPayload {
    const untold = payload.isFollowUp ? this.#watch.untold(payload.projectId) : null;
    if (!untold || untold.lastSeq < payload.lastSeq) return payload;
    return {
      ...payload,
      ...untold,
      windowMs: Math.max(payload.windowMs, this.#context.settings.alert.cooldownMs),
    };
  }

  async #tellPeople(
    { projectId, count, windowMs, firstAt, lastAt }: AlertPayload,
    samples: Awaited<ReturnType<typeof queries.eventsOf>>,
    job: RunningJob,
    trx: Trx,
  ): Promise<{ told: number }> {
    const { notify, users, projects } = this.#context;
    const project = await queries.liveProject(trx, projectId);
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
          eventIds: samples.map(({ id }) => id),
        },
        correlationId: job.correlationId,
      },
      { trx },
    );
    return { told: recipients.length };
  }
}
