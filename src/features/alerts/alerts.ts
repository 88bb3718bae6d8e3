import type { CoreServices } from "../../app/module.ts";
import { toRfc3339 } from "../../core/clock.ts";
import type { Trx } from "../../store/database.ts";
import { type ProjectPerson, projectPeople } from "../access/index.ts";
import { COMPLETED, type QueueName, type RunningJob } from "../jobs/index.ts";
import { DEFAULT_CHANNELS, mailNotice, type NoticeMail } from "../notifications/index.ts";
import { alertText } from "./alert-text.ts";
import { ErrorWatch, isSilent, type RaisedBurst } from "./error-watch.ts";
import type { ErrorBurst } from "./error-window.ts";
import * as queries from "./queries.ts";

const QUEUE: QueueName = "alert";
const TELL = "alert";
const MAIL = "alert.mail";
/** High enough for a phone to make a sound at night. */
const PRIORITY = 500;

interface AlertPayload extends ErrorBurst {
  readonly projectId: string;
  readonly windowMs: number;
  /** Absent in jobs of earlier versions. */
  readonly isFollowUp?: boolean;
}

/**
 * Errors in quick succession (D28): one job per project at a time tells its people, in the app and by mail, and then the project is silent for a while.
 * The notification, the mails' jobs, the mark of the silence and the job's own end are one transaction: a restart neither loses an alert nor repeats one.
 */
export class Alerts {
  readonly #services: CoreServices;
  readonly #watch: ErrorWatch;

  constructor(services: CoreServices) {
    this.#services = services;
    this.#watch = new ErrorWatch(services, (projectId, burst) => this.#raise(projectId, burst));
    services.system.runner.handle(TELL, (job) => this.#tell(job));
    services.system.runner.handle(MAIL, async (job, signal) => {
      const parts = { mailer: services.system.mailer, db: services.db.read, config: services.config };
      return { sent: await mailNotice(parts, job.payload as NoticeMail, { id: job.id, signal }) };
    });
  }

  start(): void {
    void this.#watch.start();
  }

  async #raise(projectId: string, { runAt, ...burst }: RaisedBurst): Promise<void> {
    const { jobs, system } = this.#services;
    const payload: AlertPayload = { projectId, windowMs: system.settings.alert.windowMs, ...burst };
    // A key of its own: an alert that is due now must not wait for the end of a silence.
    const dedupeKey = burst.isFollowUp ? `alert:${projectId}:silence` : `alert:${projectId}`;
    await jobs.enqueue({ queue: QUEUE, kind: TELL, payload, runAt, dedupeKey });
  }

  async #tell(job: RunningJob): Promise<typeof COMPLETED> {
    const { db, jobs, clock, system } = this.#services;
    const payload = this.#withUntold(job.payload as AlertPayload);
    const { projectId } = payload;
    const samples = await queries.eventsOf(db.read, payload.samples);
    try {
      await db.write(async (trx) => {
        const now = clock.now();
        const { cooldownMs } = system.settings.alert;
        const mark = await queries.markOf(trx, projectId);
        const isEarly = mark !== null && isSilent(now, mark.at, cooldownMs);
        if (mark && isEarly && payload.isFollowUp && mark.upToSeq < payload.lastSeq) {
          await jobs.postpone(job, trx, mark.at + cooldownMs);
          return;
        }
        if (mark && (mark.upToSeq >= payload.lastSeq || isEarly)) {
          await jobs.complete(job, trx, { told: 0 });
          db.afterCommit(trx, () =>
            this.#watch.told(projectId, mark.at, { ...payload, count: 0, lastSeq: mark.upToSeq }),
          );
          return;
        }
        const told = await this.#tellPeople(payload, samples, job, trx);
        await queries.putMark(trx, projectId, { at: now, upToSeq: payload.lastSeq });
        await jobs.complete(job, trx, told);
        db.afterCommit(trx, () => this.#watch.told(projectId, now, payload));
      });
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
      windowMs: Math.max(payload.windowMs, this.#services.system.settings.alert.cooldownMs),
    };
  }

  async #tellPeople(
    { projectId, count, windowMs, firstAt, lastAt }: AlertPayload,
    samples: Awaited<ReturnType<typeof queries.eventsOf>>,
    job: RunningJob,
    trx: Trx,
  ): Promise<{ told: number; mails: number }> {
    const { notify, users, projects } = this.#services;
    const project = await queries.liveProject(trx, projectId);
    if (!project) return { told: 0, mails: 0 };
    const people = await projectPeople(trx, projectId, projects.defaultId);
    const recipients = users.reachable(
      people.map(({ id }) => id),
      projectId,
    );
    if (recipients.length === 0) return { told: 0, mails: 0 };
    const { id: notificationId } = await notify.send(
      {
        ...alertText({ project: project.name, count, windowMs, firstAt, lastAt, samples }),
        kind: "alert",
        recipients,
        projectId,
        priority: PRIORITY,
        // Mail goes its own way: who has it is what project and reader say of alerts.
        channels: DEFAULT_CHANNELS,
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
    const { emailAlerts } = JSON.parse(project.settings) as { emailAlerts?: boolean };
    const readers = emailAlerts === false ? [] : people.filter(({ id }) => recipients.includes(id));
    return { told: recipients.length, mails: await this.#mail(notificationId, readers, trx) };
  }

  /** A job for each mail: one address that is refused keeps nobody else from hearing. */
  async #mail(notificationId: string, people: readonly ProjectPerson[], trx: Trx): Promise<number> {
    const { jobs, clock, system } = this.#services;
    if (!system.mailer.isConfigured) return 0;
    const readers = people.filter(({ email, wantsAlertMail }) => email !== null && wantsAlertMail);
    for (const { id: userId } of readers) {
      const payload: NoticeMail = { notificationId, userId };
      await jobs.enqueue({ queue: QUEUE, kind: MAIL, payload, runAt: clock.now(), priority: PRIORITY }, { trx });
    }
    return readers.length;
  }
}
