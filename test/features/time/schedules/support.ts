import type { TestContext } from "node:test";
import type { Schedule, ScheduleInput } from "../../../../src/features/time/schedules/schedules.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";

export const SECOND = 1000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

/** A Monday, in no zone near the setting of a clock. */
export const START = Date.parse("2026-06-01T10:00:00Z");

export interface SkippedEvent {
  readonly scheduleId: string;
  readonly name: string;
  readonly nominalAt: string;
  readonly reason: string;
  readonly count: number;
}

/** A server with a fake clock and schedules that make jobs of kind `tick`. */
export class ScheduleWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;

  constructor(prism: TestPrism, clock: FakeClock) {
    this.prism = prism;
    this.clock = clock;
  }

  get schedules() {
    return this.prism.parts.offers.schedules;
  }

  create(more: Partial<ScheduleInput> = {}): Promise<Schedule> {
    return this.schedules.create({ name: "ticker", queue: "retention", kind: "tick", ...more });
  }

  /** Time passes, and the schedules look at the clock. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.look();
  }

  look(): Promise<void> {
    return this.schedules.due.check();
  }

  /**
   * The times of the jobs that schedules have made, since {@link START}, with `m` for whole minutes
   * and `h` for whole hours.
   */
  runs(scheduleId?: string): string[] {
    const rows = rowsOf<{ scheduleId: string; runAt: number }>(
      this.prism,
      "select scheduleId, runAt from jobs where scheduleId is not null order by seq",
    );
    const own = rows.filter((row) => scheduleId === undefined || row.scheduleId === scheduleId);
    return own.map(({ runAt }) => shortTime(runAt - START));
  }

  /** The content of the `schedule.skipped` events, once there are this many. */
  async skipped(count: number): Promise<SkippedEvent[]> {
    const read = () =>
      rowsOf<{ payload: string }>(
        this.prism,
        "select payload from events where type = 'schedule.skipped' order by seq",
      );
    await eventually("the skipped runs are told of", () => this.waitingNotes() === 0 && read().length >= count);
    return read().map(({ payload }) => JSON.parse(payload) as SkippedEvent);
  }

  waitingNotes(): number {
    const [row] = rowsOf<{ n: number }>(
      this.prism,
      "select count(*) as n from jobs where kind = 'schedule.skipped' and finishedAt is null",
    );
    return row?.n ?? 0;
  }

  /** Stops and starts again, with time passing in between. */
  async downFor(ms: number): Promise<void> {
    await this.prism.stop();
    this.clock.advance(ms);
    await this.prism.restart();
    this.handle();
    await this.look();
  }

  /** Jobs of kind `tick` do nothing. */
  handle(): void {
    this.prism.parts.offers.runner.handle("tick", async () => undefined);
  }

  async idle(): Promise<void> {
    await eventually(
      "all jobs have ended",
      () => rowsOf(this.prism, "select 1 from jobs where scheduleId is not null and finishedAt is null").length === 0,
    );
  }
}

export function shortTime(ms: number): string {
  if (ms % HOUR === 0) return `${ms / HOUR}h`;
  if (ms % MINUTE === 0) return `${ms / MINUTE}m`;
  return `${ms / SECOND}s`;
}

export async function scheduleWorld(t: TestContext, { at = START, ...options }: PrismOptions & { at?: number } = {}) {
  const clock = new FakeClock(at);
  const world = new ScheduleWorld(await startPrism(t, { ...options, clock }), clock);
  world.handle();
  return world;
}
