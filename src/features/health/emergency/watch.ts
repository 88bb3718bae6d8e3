import { sql } from "kysely";
import type { QueueName } from "../../../core/limits/queues.ts";
import { within, withinOr } from "../../../core/promises.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { type EpochMs, MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Database } from "../../../store/database.ts";
import { PROBLEM_TEXT } from "../../../store/write-health.ts";
import { pausedKey } from "../../time/jobs/index.ts";

type EmergencyWatchParts = Uses<
  "emergency" | "clock" | "log" | "db" | "store" | "storage" | "runner" | "settings" | "pages" | "incidents"
>;

const LOOK_EVERY_MS = 15_000;
/** While the store has a problem. */
const LOOK_AGAIN_MS = 5000;
/** A problem of the store that is shorter is over before anyone could act. */
export const STORE_AFTER_MS = 10_000;
/** How long a write may take before it counts as refused, and a look before the next one begins. */
const ANSWER_LIMIT_MS = 10_000;
/** A ready page is attempted within this time. */
const ATTEMPTED_WITHIN_MS = MINUTE_MS;
/** How long a page may wait in a paused queue. */
export const PAUSED_AFTER_MS = MINUTE_MS;

/** Looks for reasons of `emergency` that no one else reports. Runs only while a way is configured. */
export class EmergencyWatch {
  readonly #parts: EmergencyWatchParts;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  /** Reads that the database has not answered yet, by what they read. */
  readonly #reading = new Map<string, Promise<void>>();
  /** On the elapsed clock: since when the store has had a problem. */
  #refusedSince: number | null = null;

  constructor(parts: EmergencyWatchParts) {
    this.#parts = parts;
  }

  /** Starts or stops to look, as the settings say. Call it again after a reload. */
  start(): void {
    if (!this.#parts.emergency.isConfigured) void this.stop();
    else if (!this.#timer) this.#wait(0);
  }

  async stop(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  /** Looks now; otherwise a timer does. One look runs at a time. */
  check(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(async () => {
      await this.check();
      if (this.#timer) this.#wait(this.#refusedSince === null ? LOOK_EVERY_MS : LOOK_AGAIN_MS);
    }, ms).unref();
  }

  async #look(): Promise<void> {
    const { log } = this.#parts;
    await this.#lookAtStore().catch((err: unknown) => log.warn({ err }, "cannot check the database"));
    await this.#read("paused queues", () => this.#lookAtQueues());
    await this.#read("open incidents", () => this.#lookAtIncidents());
    this.#lookAtPages();
  }

  /** A disk that hangs must not end the looks. What takes longer goes on; meanwhile it is not begun again. */
  async #read(what: string, look: () => Promise<void>): Promise<void> {
    const { log } = this.#parts;
    const begin = (): Promise<void> =>
      look()
        .catch((err: unknown) => log.warn({ err }, `cannot read the ${what}`))
        .finally(() => this.#reading.delete(what));
    const reading = this.#reading.get(what) ?? begin();
    this.#reading.set(what, reading);
    await within(ANSWER_LIMIT_MS, reading);
  }

  async #lookAtIncidents(): Promise<void> {
    const { emergency, incidents, settings, clock } = this.#parts;
    const afterMs = this.#parts.settings.current.emergency.afterMs;
    const unreached = await incidents.unreached(afterMs);
    const [oldest] = unreached;
    if (!oldest) emergency.clear("page-undelivered");
    else {
      const url = settings.current.publicUrl?.replace(/\/+$/, "");
      const link = url === undefined ? {} : { link: `${url}/dashboard/incidents/${oldest.id}` };
      const count = unreached.length === 1 ? "An incident has" : `${unreached.length} incidents have`;
      emergency.raise("page-undelivered", {
        text: `${count} reached no one. The oldest is incident ${oldest.number}.`,
        since: oldest.since,
        facts: { incidents: unreached.length, number: oldest.number, ...link },
      });
    }
    const { failingMs } = incidents;
    if (failingMs < afterMs) emergency.clear("turn-failed");
    else {
      const text = "Steps of an incident fail with an error; the log names it.";
      emergency.raise("turn-failed", { text, since: Math.round(clock.now() - failingMs) });
    }
  }

  #lookAtPages(): void {
    const { emergency, clock } = this.#parts;
    const waitedMs = this.#parts.pages.longestUnattemptedMs;
    if (waitedMs < ATTEMPTED_WITHIN_MS) emergency.clear("page-not-attempted");
    else {
      const text = "A page is ready and was not attempted for over a minute.";
      emergency.raise("page-not-attempted", { text, since: Math.round(clock.now() - waitedMs) });
    }
  }

  async #lookAtStore(): Promise<void> {
    const { emergency, clock } = this.#parts;
    const problem = await this.#storeProblem();
    if (problem === null) {
      this.#refusedSince = null;
      return emergency.clear("store-refuses-writes");
    }
    this.#refusedSince ??= clock.elapsed();
    const refusedMs = clock.elapsed() - this.#refusedSince;
    if (refusedMs < STORE_AFTER_MS) return;
    emergency.raise("store-refuses-writes", { text: problem, since: Math.round(clock.now() - refusedMs) });
  }

  async #storeProblem(): Promise<string | null> {
    const { store, storage } = this.#parts;
    const problem = await withinOr(ANSWER_LIMIT_MS, store.health.check(), () => "blocked" as const);
    if (problem !== null) return PROBLEM_TEXT[problem];
    return storage.problem === null ? null : PROBLEM_TEXT[storage.problem];
  }

  async #lookAtQueues(): Promise<void> {
    const { emergency, clock, db, runner } = this.#parts;
    const queues = runner.queueNames.filter((name) => runner.isPaused(name));
    const waiting = queues.length === 0 ? [] : await pausedPages(db, queues, clock.now() - PAUSED_AFTER_MS);
    if (waiting.length === 0) return emergency.clear("queue-paused");
    const texts = waiting.map(
      ({ queue, pages, by }) =>
        `${by} paused the queue ${queue}, in which ${countText(pages, "page waits", "pages wait")}`,
    );
    emergency.raise("queue-paused", {
      text: `${texts.join("; ")}.`,
      since: Math.min(...waiting.map(({ since }) => since)),
    });
  }
}

/** Pages that wait in a queue that someone has paused. */
interface PausedPages {
  readonly queue: string;
  readonly pages: number;
  /** Who paused it, for people. */
  readonly by: string;
  readonly since: EpochMs;
}

/** The jobs of incidents that were due at `before` and wait in these queues, which are paused. */
async function pausedPages(
  { scan }: Pick<Database, "scan">,
  queues: readonly string[],
  before: EpochMs,
): Promise<PausedPages[]> {
  const counts = await scan
    .selectFrom("jobs as j")
    .innerJoin("incidents as i", "i.id", "j.correlationId")
    .select(["j.queue", (e) => e.fn.countAll<number>().as("pages")])
    .where("j.queue", "in", queues)
    // A literal: SQLite could not use the partial index with a bound value.
    .where("j.state", "=", sql.lit("ready"))
    .where("j.runAt", "<=", before)
    .groupBy("j.queue")
    .execute();
  return Promise.all(
    counts.map(async ({ queue, pages }) => {
      const pause = await scan
        .selectFrom("settings as s")
        .leftJoin("users as u", "u.id", "s.updatedBy")
        .select(["u.username", "s.updatedAt"])
        .where("s.key", "=", pausedKey(queue as QueueName))
        .executeTakeFirst();
      return { queue, pages, by: pause?.username ?? "An operator", since: pause?.updatedAt ?? before };
    }),
  );
}
