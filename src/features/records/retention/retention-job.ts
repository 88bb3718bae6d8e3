import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Uses } from "../../../module/feature.ts";
import { sweepAll, sweepRows } from "../../../store/retention.ts";
import type { Schedules } from "../../time/schedules/index.ts";

export const idempotencyKeys = sweepRows("idempotency_keys", (db, now) =>
  db.selectFrom("idempotency_keys").select(["scope", "key"]).where("expiresAt", "<=", now).orderBy("expiresAt"),
);

const KIND = "retention.sweep";
const SCHEDULE = "prism:retention";
/** Some time after the start, which needs the machine. */
const FIRST_SWEEP_MS = 300_000;
const SWEEP_EVERY_MS = 3_600_000;

type RetentionParts = Uses<"db" | "clock" | "log" | "sweeps" | "clockTrust" | "runner" | "schedules">;

/**
 * Removes expired rows by jobs of the queue `retention`: a paused queue stops it, and its schedule
 * can be run at any time.
 */
export class RetentionJob {
  readonly #schedules: Schedules;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;

  constructor({ db, clock, log, sweeps, clockTrust, runner, schedules }: RetentionParts) {
    this.#schedules = schedules;
    this.#log = log.namespace("retention");
    const context = { database: db, clock, log: this.#log };
    runner.handle(KIND, async (_job, signal) => {
      if (await clockTrust.check()) return sweepAll(context, sweeps(), signal);
      return { waits: clockTrust.warning };
    });
  }

  start(): void {
    const failed = (error: unknown): void => this.#log.error({ err: error }, "cannot schedule retention");
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
