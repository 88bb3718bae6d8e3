import type { LiveSettings } from "../../http/live-settings.ts";
import { Retention, type RetentionParts } from "../../store/retention.ts";
import { eventSweep } from "./event-retention.ts";
import { notificationSweep } from "./notification-retention.ts";
import { RetentionJob, type RetentionJobParts } from "./retention-job.ts";
import { RETENTION_SWEEPS } from "./retention-rules.ts";

export interface AllTablesParts extends Omit<RetentionParts, "sweeps"> {
  readonly settings: Pick<LiveSettings, "retention">;
}

/** Removes what is no longer kept of any table. Events and notifications come last: they are most of the work. */
export function retentionOfAll({ database, clock, log, settings }: AllTablesParts): Retention {
  return new Retention({
    database,
    clock,
    log,
    sweeps: [
      ...RETENTION_SWEEPS,
      notificationSweep(() => settings.retention.notificationDays),
      eventSweep(() => settings.retention.days),
    ],
  });
}

/** {@link retentionOfAll} as jobs. */
export function openRetention(parts: AllTablesParts & Omit<RetentionJobParts, "retention">): RetentionJob {
  const { database, clock, settings, clockTrust, runner, schedules } = parts;
  const log = parts.log.namespace("retention");
  const retention = retentionOfAll({ database, clock, log, settings });
  return new RetentionJob({ retention, clockTrust, runner, schedules, log });
}
