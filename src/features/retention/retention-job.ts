import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Database } from "../../store/database.ts";
import { type NamedSweep, type RetentionRule, sweepAll, sweepOf } from "../../store/retention.ts";
import { ACCOUNT_SWEEPS } from "../access/index.ts";
import { alertSweep, incidentSweep, silenceSweep } from "../alerts/index.ts";
import { type AuditSweepParts, auditSweep } from "../audit/index.ts";
import { CHANNEL_SWEEPS } from "../channels/index.ts";
import { DELIVERY_SWEEPS } from "../delivery/index.ts";
import { DRILL_SWEEPS } from "../drill/index.ts";
import { EVENT_SWEEPS, eventSweep } from "../events/index.ts";
import { JOB_SWEEPS, type JobRunner } from "../jobs/index.ts";
import { MESSAGE_SWEEPS } from "../messages/index.ts";
import { notificationSweep } from "../notifications/index.ts";
import { attachmentSweep, NTFY_SWEEPS } from "../ntfy/index.ts";
import { RECEIVER_SWEEPS } from "../receivers/index.ts";
import { SUPPRESSION_SWEEPS } from "../rules/index.ts";
import type { Schedules } from "../schedules/index.ts";
import { statusSweeps } from "../statuspage/index.ts";
import { STREAM_SWEEPS } from "../streams/index.ts";
import type { ClockTrust } from "./clock-trust.ts";

const idempotencyKeys: RetentionRule<{ scope: string; key: string }> = {
  name: "idempotency_keys",
  find: (scan, now, limit) =>
    scan
      .selectFrom("idempotency_keys")
      .select(["scope", "key"])
      .where("expiresAt", "<=", now)
      .orderBy("expiresAt")
      .limit(limit)
      .execute(),
  async remove(trx, keys, now) {
    let removed = 0;
    for (const { scope, key } of keys) {
      // An expired key may have been used again.
      const { numDeletedRows } = await trx
        .deleteFrom("idempotency_keys")
        .where("scope", "=", scope)
        .where("key", "=", key)
        .where("expiresAt", "<=", now)
        .executeTakeFirst();
      removed += Number(numDeletedRows);
    }
    return removed;
  },
};

/** Sweeps without configuration. */
export const FIXED_SWEEPS: readonly NamedSweep[] = [
  sweepOf(idempotencyKeys),
  ...JOB_SWEEPS,
  ...EVENT_SWEEPS,
  ...STREAM_SWEEPS,
  ...SUPPRESSION_SWEEPS,
  ...ACCOUNT_SWEEPS,
  ...MESSAGE_SWEEPS,
  ...CHANNEL_SWEEPS,
  ...DELIVERY_SWEEPS,
  ...DRILL_SWEEPS,
  ...RECEIVER_SWEEPS,
  ...NTFY_SWEEPS,
];

interface SweepsParts extends Omit<AuditSweepParts, "days"> {
  /** Of features that declare theirs. */
  readonly sweeps: readonly NamedSweep[];
  readonly settings: Pick<LiveSettings, "retention">;
}

/** The sweeps of all tables. Notifications and events come last: they are most of the work. */
export function allSweeps({ audit, dataDir, settings, sweeps }: SweepsParts): NamedSweep[] {
  return [
    ...FIXED_SWEEPS,
    ...sweeps,
    attachmentSweep(dataDir),
    silenceSweep(() => settings.retention.silenceDays),
    ...statusSweeps(() => settings.retention.alertDays),
    auditSweep({ audit, dataDir, days: () => settings.retention.auditDays }),
    incidentSweep(() => settings.retention.alertDays),
    alertSweep(() => settings.retention.alertDays),
    notificationSweep(() => settings.retention.notificationDays),
    eventSweep(() => settings.retention.days),
  ];
}

const KIND = "retention.sweep";
const SCHEDULE = "prism:retention";
/** Some time after the start, which needs the machine. */
const FIRST_SWEEP_MS = 300_000;
const SWEEP_EVERY_MS = 3_600_000;

interface RetentionParts extends SweepsParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clockTrust: ClockTrust;
  readonly runner: JobRunner;
  readonly schedules: Schedules;
}

/**
 * Removes expired rows by jobs of the queue `retention`: a paused queue stops it, and its schedule
 * can be run at any time.
 */
export class RetentionJob {
  readonly #schedules: Schedules;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: RetentionParts) {
    const { database, clock, clockTrust, runner, schedules } = parts;
    this.#schedules = schedules;
    this.#log = parts.log.namespace("retention");
    const context = { database, clock, log: this.#log };
    const sweeps = allSweeps(parts);
    runner.handle(KIND, async (_job, signal) => {
      if (await clockTrust.check()) return sweepAll(context, sweeps, signal);
      return { waits: clockTrust.warning };
    });
  }

  start(): void {
    const failed = (error: unknown): void => this.#log.error({ err: error }, "retention could not be scheduled");
    this.#timer = setTimeout(() => void this.begin().catch(failed), FIRST_SWEEP_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Creates the schedule, and a job now: runs missed during a downtime are not caught up. */
  async begin(): Promise<void> {
    const { id, active } = await this.#schedules.put({
      name: SCHEDULE,
      everyMs: SWEEP_EVERY_MS,
      missed: "skip",
      queue: "retention",
      kind: KIND,
    });
    if (!active) return;
    await this.#schedules.run(id).catch((error: unknown) => {
      // A job of the schedule is already waiting or running.
      if (!(error instanceof PrismError && error.code === "INVALID_STATE")) throw error;
    });
  }
}
