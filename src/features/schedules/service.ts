import type { Config } from "../../config/load.ts";
import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { checkShape } from "../../http/input.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { object } from "../../http/shapes.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import { parseQueueName } from "../jobs/index.ts";
import { TimerActionBody, type TimerService } from "../timers/index.ts";
import { countSchedules, listSchedules } from "./queries.ts";
import { type Schedule, scheduleOf } from "./schedule-definition.ts";
import type { Schedules, SettlePayload } from "./schedules.ts";
import { type CreateSchedule, type ListSchedules, scheduleView, type UpdateSchedule } from "./schema.ts";

/** What the feature needs besides the services of every module. */
export interface SchedulesOwn {
  readonly db: Database;
  readonly config: Config;
  readonly schedules: Schedules;
  readonly storage: StorageGuard;
  readonly timer: TimerService;
}

export type SchedulesContext = SchedulesOwn & Pick<CoreServices, "audit">;

/** What operators do with schedules. A change and its audit row are one transaction. */
export class ScheduleService {
  readonly #context: SchedulesContext;

  constructor(context: SchedulesContext) {
    this.#context = context;
  }

  async create(principal: UserPrincipal, input: CreateSchedule): Promise<Schedule> {
    const { db, storage, schedules } = this.#context;
    storage.requireSpace();
    return db.write(async (trx) => {
      const { queue, settle } = schedules.offers.require(input.queue, input.kind);
      const payload = await settle(input.payload ?? {}, principal, trx);
      const schedule = await schedules.create({ ...input, queue, payload, createdBy: principal.userId }, { trx });
      await this.#record("schedule.create", schedule, trx);
      return schedule;
    });
  }

  /** Whoever changes what the jobs of a user's schedule do is the one in whose name they do it from then on. */
  async update(principal: UserPrincipal, id: string, ifMatch: string, input: UpdateSchedule): Promise<Schedule> {
    const { db, schedules } = this.#context;
    return db.write(async (trx) => {
      const old = await this.#existing(id, trx);
      const { queue = old.queue, kind = old.kind, payload, ...changes } = input;
      const isOtherWork =
        parseQueueName(queue) !== old.queue ||
        kind !== old.kind ||
        (payload !== undefined && !isSame(payload, old.payload));
      const work = isOtherWork ? await this.#newWork(principal, old, { queue, kind, payload }, trx) : {};
      const schedule = await schedules.update(id, { ...changes, ...work }, { trx, ifMatch });
      if (schedule.version !== old.version) await this.#record("schedule.update", schedule, trx);
      return schedule;
    });
  }

  async delete(id: string): Promise<void> {
    const { db, schedules } = this.#context;
    await db.write(async (trx) => {
      const schedule = await this.#existing(id, trx);
      await schedules.delete(id, { trx });
      await this.#record("schedule.delete", schedule, trx);
    });
  }

  async run(id: string) {
    const { db, storage, schedules } = this.#context;
    storage.requireSpace();
    return db.write(async (trx) => {
      const schedule = await this.#existing(id, trx);
      const { jobId, runAt, state } = await schedules.run(id, { trx });
      await this.#record("schedule.run", schedule, trx, { jobId });
      return { jobId, runAt: toRfc3339(runAt), state };
    });
  }

  get(id: string): Promise<Schedule> {
    return this.#existing(id);
  }

  async list(query: ListSchedules) {
    const { db, schedules } = this.#context;
    const { runs, ...rest } = query;
    const request = readPage(rest, ["string"]);
    const { rows, isCut } = await listSchedules(db.scan, rest, request);
    const total = request.wantsTotal ? await countSchedules(db.scan, rest) : undefined;
    const view = (schedule: Schedule) => scheduleView(schedules, schedule, runs);
    return pageBody({ ...request, isCut }, rows.map(scheduleOf), view, ({ id }) => [id], total);
  }

  async #newWork(
    principal: UserPrincipal,
    old: Schedule,
    { queue: name, kind, payload }: { queue: string; kind: string; payload: unknown },
    trx: Trx,
  ) {
    if (old.module !== null)
      throw new PrismError("VALIDATION_FAILED", "What the jobs of a module's schedule do is the module's to say", {
        details: [{ path: "", code: "VALUE", message: `queue, kind and payload are set by the module ${old.module}` }],
      });
    const { queue, settle } = this.#context.schedules.offers.require(name, kind);
    const settled = await settle(payload ?? old.payload, principal, trx);
    return { queue, kind, payload: settled, createdBy: principal.userId };
  }

  async #existing(id: string, trx?: Trx): Promise<Schedule> {
    const schedule = await this.#context.schedules.find(id, { trx });
    if (!schedule) throw new PrismError("SCHEDULE_NOT_FOUND", "No such schedule");
    return schedule;
  }

  async #record(
    action: "schedule.create" | "schedule.update" | "schedule.delete" | "schedule.run",
    { id, version, queue, kind }: Schedule,
    trx: Trx,
    more: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const metadata = { version, queue, kind, ...more };
    await this.#context.audit.record({ action, resourceType: "schedule", resourceId: id, metadata }, { trx });
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

const TimerPayload = object({ action: TimerActionBody });

/** A timer that an operator schedules is checked as one that anybody makes: its form, its recipient, and the rights of who makes it. */
export function settleTimer({ timer }: Pick<SchedulesOwn, "timer">): SettlePayload {
  return async (payload, creator, trx) => {
    const { action } = checkShape(TimerPayload, payload, "body");
    return { action: await timer.resolveReferences(timer.read(action), creator, trx) };
  };
}
