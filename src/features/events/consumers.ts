import { type DeferredPromise, deferred } from "../../core/promises.ts";
import type { Uses } from "../../module/feature.ts";
import type { ConsumeOptions, StoredEvent } from "../../module/module-api.ts";
import type { EventsTable } from "../../store/schema.ts";
import { eventJson } from "../notifications/index.ts";
import { jitteredDelayMs } from "../time/jobs/index.ts";

export interface ConsumerParts extends Uses<"db" | "reader" | "clock" | "log"> {
  /** The `seq` of the last event whose commit was announced. */
  head(): number;
}

export type BatchHandler = (batch: StoredEvent[]) => Promise<void>;

/** Limits of a batch: events, and approximate bytes. */
const BATCH_EVENTS = 200;
const BATCH_BYTES = 1_048_576;
const BACKOFF = { backoffBaseMs: 500, backoffCapMs: 60_000 };

/**
 * Named readers of the event log, each with a stored position. They read what is on disk up to the
 * announced head, so no event is skipped. The position moves after a batch is done, so a batch
 * interrupted by a crash or an error is repeated. Commits wake a reader that is up to date; there
 * is no polling.
 */
export class EventConsumers {
  readonly #parts: ConsumerParts;
  readonly #consumers = new Map<string, Consumer>();
  /** Ended readers that still process their last batch, by name. */
  readonly #ending = new Map<string, Promise<void>>();
  readonly #events;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#events = parts.reader.prepare<{ after: number; upTo: number; limit: number }, EventsTable>(
      "select * from events where seq > @after and seq <= @upTo order by seq limit @limit",
    );
  }

  /** A new reader starts after the last event. @returns a function that ends it. @throws TypeError if used */
  consume(name: string, handler: BatchHandler, { maxAttempts = Infinity }: ConsumeOptions = {}): () => Promise<void> {
    if (this.#consumers.has(name)) throw new TypeError(`there is a consumer ${name} already`);
    const consumer = new Consumer(this.#parts, name, handler, maxAttempts, (after, upTo) => this.#read(after, upTo));
    this.#consumers.set(name, consumer);
    consumer.start(this.#ending.get(name) ?? Promise.resolve());
    return () => this.#end(name, consumer);
  }

  /** Events were committed. */
  wake(): void {
    for (const consumer of this.#consumers.values()) consumer.wake();
  }

  /** Number of log entries each reader has not read. */
  lags(): { name: string; lag: number }[] {
    return [...this.#consumers.values()].map(({ name, lag }) => ({ name, lag }));
  }

  /** Resolves when all running batches have ended. */
  async stop(): Promise<void> {
    await Promise.all([...this.#consumers].map(([name, consumer]) => this.#end(name, consumer)));
    await Promise.all(this.#ending.values());
  }

  #end(name: string, consumer: Consumer): Promise<void> {
    if (this.#consumers.get(name) !== consumer) return this.#ending.get(name) ?? Promise.resolve();
    this.#consumers.delete(name);
    const ended = consumer.end().finally(() => {
      if (this.#ending.get(name) === ended) this.#ending.delete(name);
    });
    this.#ending.set(name, ended);
    return ended;
  }

  #read(after: number, upTo: number): StoredEvent[] {
    const batch: StoredEvent[] = [];
    let bytes = 0;
    for (const row of this.#events.iterate({ after, upTo, limit: BATCH_EVENTS })) {
      batch.push(JSON.parse(eventJson(row)) as StoredEvent);
      bytes += row.payload.length;
      if (bytes >= BATCH_BYTES) break;
    }
    return batch;
  }
}

class Consumer {
  readonly name: string;
  readonly #parts: ConsumerParts;
  readonly #handler: BatchHandler;
  /** Consecutive failures after which a batch is processed one event at a time. */
  readonly #maxAttempts: number;
  readonly #read: (after: number, upTo: number) => StoredEvent[];
  readonly #startsAt: number;
  /** Everything up to this position is read; null before the table was queried. */
  #doneUpTo: number | null = null;
  #isEnded = false;
  #wakeUp: DeferredPromise<void> = deferred();
  #run: Promise<void> = Promise.resolve();

  constructor(
    parts: ConsumerParts,
    name: string,
    handler: BatchHandler,
    maxAttempts: number,
    read: (after: number, upTo: number) => StoredEvent[],
  ) {
    this.#parts = parts;
    this.name = name;
    this.#handler = handler;
    this.#maxAttempts = maxAttempts;
    this.#read = read;
    this.#startsAt = parts.head();
  }

  get lag(): number {
    return Math.max(0, this.#parts.head() - (this.#doneUpTo ?? this.#startsAt));
  }

  /** @param before work that must end first. */
  start(before: Promise<void>): void {
    this.#run = before.then(() => this.#work());
  }

  wake(): void {
    this.#wakeUp.resolve();
  }

  end(): Promise<void> {
    this.#isEnded = true;
    this.#wakeUp.resolve();
    return this.#run;
  }

  async #work(): Promise<void> {
    for (let failures = 0; !this.#isEnded; ) {
      this.#wakeUp = deferred();
      try {
        const isMore = await this.#step(failures >= this.#maxAttempts);
        failures = 0;
        if (!isMore) await this.#wakeUp.promise;
      } catch (error) {
        failures++;
        const retryMs = jitteredDelayMs(failures, BACKOFF);
        const facts = { consumer: this.name, failures, retryMs, after: this.#doneUpTo, err: error };
        this.#parts.log.warn(facts, "consumer failed; repeating its batch");
        await this.#pause(retryMs);
      }
    }
  }

  /**
   * Processes one batch. @param isApart one event at a time; a failing one is skipped.
   * @returns whether there may be more.
   */
  async #step(isApart: boolean): Promise<boolean> {
    this.#doneUpTo ??= await this.#place();
    const upTo = this.#parts.head();
    const batch = upTo > this.#doneUpTo ? this.#read(this.#doneUpTo, upTo) : [];
    const last = batch.at(-1);
    if (!last || this.#isEnded) {
      // Numbers without an event: deleted, or skipped by a crash.
      if (!last) this.#doneUpTo = Math.max(upTo, this.#doneUpTo);
      return false;
    }
    if (isApart) for (const event of batch) await this.#one(event);
    else await this.#handler(batch);
    await this.#move(last.seq);
    this.#doneUpTo = last.seq;
    return true;
  }

  /** The consumer's position; a new one starts at the head. */
  async #place(): Promise<number> {
    const { db, clock } = this.#parts;
    const row = { name: this.name, cursor: this.#startsAt, updatedAt: clock.now() };
    const kept = await db.write(async (trx) => {
      await trx
        .insertInto("event_consumers")
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return trx.selectFrom("event_consumers").select("cursor").where("name", "=", this.name).executeTakeFirst();
    });
    return kept?.cursor ?? this.#startsAt;
  }

  async #move(cursor: number): Promise<void> {
    const { db, clock } = this.#parts;
    const row = { cursor, updatedAt: clock.now() };
    await db.write((trx) => trx.updateTable("event_consumers").set(row).where("name", "=", this.name).execute());
  }

  /** Skips an event that fails alone, so that it does not block the following ones. */
  async #one(event: StoredEvent): Promise<void> {
    if (this.#isEnded) throw new Error("the consumer has ended");
    try {
      await this.#handler([event]);
    } catch (error) {
      const { id: eventId, seq } = event;
      this.#parts.log.error(
        { consumer: this.name, eventId, seq, err: error },
        "consumer skipped an event that it cannot handle",
      );
    }
  }

  /** Only the end interrupts it, not further commits. */
  async #pause(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (!this.#isEnded && performance.now() < until) {
      this.#wakeUp = deferred();
      let timer: NodeJS.Timeout | undefined;
      const time = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, until - performance.now());
      });
      await Promise.race([time, this.#wakeUp.promise]);
      clearTimeout(timer);
    }
  }
}
