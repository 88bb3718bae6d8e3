import { Bus } from "../../core/bus.ts";
import { currentCaller } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type DeferredPromise, deferred } from "../../core/promises.ts";
import { scanJson } from "../../core/text/json-text.ts";
import type { Level, OwnEventType } from "../../core/text/vocabulary.ts";
import type { Clock, EpochMs } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { ConsumeOptions, EventInput, StoredEvent } from "../../module/module-api.ts";
import type { JobFinish } from "../../store/commit/write-set.ts";
import { addEffect, insertLater, later, nextEventSeq, type Trx } from "../../store/database.ts";
import type { AppendedEvent, NotifiedRecipient } from "../../store/effect.ts";
import type { EventsTable } from "../../store/schema.ts";
import { type Announcer, eventJson } from "../notifications/index.ts";
import { IncomingEvent, type RuleEvent } from "../rules/index.ts";
import { jitteredDelayMs } from "../time/jobs/index.ts";
import type { EventOwner, EventPipeline } from "./pipeline/pipeline.ts";
import { type EventLimits, readEvent } from "./pipeline/read-events.ts";

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

/** An event that is stored in a transaction. */
export interface EventDraft {
  /** Default: a new id. */
  readonly id?: string;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly correlationId?: string;
  /** Default: that of the call. */
  readonly source?: string;
  /** Default: now. */
  readonly occurredAt?: EpochMs;
  /** The receiver that notifies of it when no rule takes it. */
  readonly receiverId?: string;
}

/** An event about what the server itself does; rules see it only if they name it. */
export type OwnEventDraft = Omit<EventDraft, "type" | "source"> & { readonly type: OwnEventType };

/** {@link appendEvents} of the server's own events. */
export function appendOwnEvents(
  trx: Trx,
  events: readonly OwnEventDraft[],
  options: { readonly source: `prism:${string}`; readonly now: EpochMs },
): Promise<string[]> {
  return appendEvents(trx, events, options);
}

/**
 * Appends events to the log as part of a transaction. The rules decide them in its commit if they can
 * ({@link Backlog.sealWithin}), otherwise in a set after it. After the commit they are published.
 * @param source of those that name none. @returns their ids
 */
export async function appendEvents(
  trx: Trx,
  events: readonly EventDraft[],
  { source, now }: { readonly source: string; readonly now: EpochMs },
): Promise<string[]> {
  if (events.length === 0) return [];
  const rows: AppendedEvent[] = [];
  for (const { id = uuidv7(), projectId, type, level, payload, receiverId = null, ...rest } of events) {
    const row = {
      seq: nextEventSeq(trx),
      id,
      projectId,
      type,
      level,
      source: rest.source ?? source,
      payload: JSON.stringify(payload),
      dedupeKey: null,
      occurredAt: rest.occurredAt ?? now,
      receivedAt: now,
      processedAt: null,
      correlationId: rest.correlationId ?? null,
      receiverId,
    };
    const { seq, occurredAt, correlationId } = row;
    later(trx, APPEND_SQL, [seq, id, projectId, type, level, row.source, row.payload, occurredAt, now, correlationId]);
    if (receiverId !== null) insertLater(trx, "receiver_events", { eventSeq: row.seq, receiverId });
    rows.push(row);
  }
  addEffect(trx, { type: "events-appended", events: rows });
  return rows.map(({ id }) => id);
}

const APPEND_SQL = `insert into events
  (seq, id, projectId, type, level, source, payload, occurredAt, receivedAt, correlationId)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** An event created inside the process. @see EventInput */
export interface InternalEvent extends Omit<EventInput, "payload" | "level"> {
  readonly payload?: Readonly<Record<string, unknown>>;
  readonly projectId: string;
  readonly level?: string;
}

/** Ingests events of timers, modules and features, through the pipeline of those of producers. */
export class IngestService {
  readonly #pipeline: EventPipeline;
  readonly #limits: EventLimits;
  readonly #clock: Clock;

  constructor(pipeline: EventPipeline, limits: EventLimits, clock: Clock) {
    this.#pipeline = pipeline;
    this.#limits = limits;
    this.#clock = clock;
  }

  /**
   * Stores an event; resolves when it is on disk. @param finish a running job to complete in the
   * same commit.
   * @throws VALIDATION_FAILED, ID_CONFLICT, ID_TAKEN, OVERLOADED, STORAGE_FULL
   */
  async ingest(event: InternalEvent, finish?: JobFinish): Promise<{ id: string; seq: number }> {
    const { correlationId, projectId, ...envelope } = event;
    const text = JSON.stringify(envelope);
    const incoming = readEvent(
      {
        text,
        outline: scanJson(text, Number.MAX_SAFE_INTEGER),
        value: JSON.parse(text),
        receivedAt: this.#clock.now(),
        newId: null,
        correlationId: correlationId ?? null,
        projectOf: () => projectId,
      },
      this.#limits,
    );
    this.#pipeline.requireRoom(incoming.bytes);
    return new Promise((resolve, reject) => {
      this.#pipeline.accept(incoming, {
        isAbandoned: false,
        hasRows: finish !== undefined,
        rowsFor: ([result]) => (finish && result && "seq" in result ? { finish } : {}),
        settled: (_event, result) =>
          "seq" in result ? resolve({ id: result.id, seq: result.seq }) : reject(idConflict(result.status)),
        failed: (_event, error) => reject(error),
      });
    });
  }

  /**
   * Takes an event of a feature, whose members are checked, with the rows that the owner adds to its
   * commit. @throws OVERLOADED, STORAGE_FULL
   */
  accept(
    { projectId, type, level, payload }: Pick<EventDraft, "projectId" | "type" | "level" | "payload">,
    { source, now }: { readonly source: string; readonly now: number },
    owner: EventOwner,
  ): void {
    const payloadText = JSON.stringify(payload);
    const event = new IncomingEvent({
      id: uuidv7(),
      isGivenId: false,
      projectId,
      type,
      level,
      source,
      payloadText,
      payloadBytes: Buffer.byteLength(payloadText),
      dedupeKey: null,
      occurredAt: now,
      receivedAt: now,
      givenCorrelationId: null,
    });
    this.#pipeline.requireRoom(event.bytes);
    this.#pipeline.accept(event, owner);
  }
}

/** The id of an event is not its own. */
export function idConflict(status: "conflict" | "taken"): PrismError {
  return status === "taken"
    ? new PrismError("ID_TAKEN", "Another sender has sent an event with this id; use ids that no one can guess")
    : new PrismError("ID_CONFLICT", "Another project has an event with this id");
}

/** Builds an event as ingest would; the type may be omitted. @throws VALIDATION_FAILED */
export function trialEvent(value: Readonly<Record<string, unknown>>, projectId: string, now: number): RuleEvent {
  const text = JSON.stringify({ type: "test", ...value });
  return readEvent(
    {
      text,
      outline: scanJson(text, Number.MAX_SAFE_INTEGER),
      value: JSON.parse(text),
      receivedAt: now,
      newId: uuidv7(now),
      correlationId: null,
      projectOf: () => projectId,
    },
    { maxEventBytes: 262_144, lenient: true, takesOwn: true },
  );
}

type EventLogParts = Uses<"db" | "ingest" | "projects" | "consumers">;

/** The bus and the event log: emitted signals end with the process, ingested events are stored. */
export class EventService extends Bus {
  #log: EventLogParts | null = null;

  /** Connects the log, which is created after the bus and announces stored events on it. */
  connect(log: EventLogParts): void {
    this.#log = log;
  }

  /**
   * @throws TypeError inside a transaction, which would deadlock; PROJECT_NOT_FOUND,
   * VALIDATION_FAILED, ID_CONFLICT, OVERLOADED
   */
  async ingest({ projectId: ref, correlationId, ...event }: EventInput): Promise<{ id: string; seq: number }> {
    const { db, ingest, projects } = this.#required();
    db.requireOutside("events.ingest cannot join a transaction; call it after db.write");
    const projectId = ref === undefined ? projects.defaultId : projects.find(ref);
    if (projectId === undefined) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    const correlation = correlationId ?? currentCaller().correlationId ?? uuidv7();
    return ingest.ingest({ ...event, projectId, correlationId: correlation });
  }

  /**
   * Starts a reader of the log with its own position. @returns a function that ends it. @throws
   * TypeError for a name in use
   */
  consume(name: string, handler: BatchHandler, options?: ConsumeOptions): () => Promise<void> {
    return this.#required().consumers.consume(name, handler, options);
  }

  #required(): EventLogParts {
    if (!this.#log) throw new TypeError("the log of events is not there yet");
    return this.#log;
  }
}

/**
 * Emits committed data as `event:<type>` and `notification:created`, and wakes the consumers of the
 * event log. Emits only what has listeners.
 */
export function notifyBus(announcer: Announcer, bus: Bus, consumers: EventConsumers): void {
  announcer.onEvents((events) => {
    consumers.wake();
    emitEvents(bus, events);
  });
  announcer.onNotifications((notified) => emitNotifications(bus, notified));
}

function emitEvents(bus: Bus, events: readonly IncomingEvent[]): void {
  if (!bus.hasSubscribers("event:")) return;
  for (const event of events) {
    const name = `event:${event.type}`;
    if (!bus.hasSubscriber(name)) continue;
    const stored = { ...event, payload: event.payloadText, correlationId: event.givenCorrelationId };
    bus.emit(name, JSON.parse(eventJson(stored)) as unknown, event.correlationId);
  }
}

/** Once per notification; for one with many recipients, once per page of them. */
function emitNotifications(bus: Bus, notified: readonly NotifiedRecipient[]): void {
  if (!bus.hasSubscriber("notification:created")) return;
  const pages = new Map<string, NotifiedRecipient[]>();
  for (const each of notified) {
    const page = pages.get(each.notification.id);
    if (page) page.push(each);
    else pages.set(each.notification.id, [each]);
  }
  for (const page of pages.values()) {
    const [first] = page;
    if (!first) continue;
    const { id, kind, ruleId, eventId, projectId, title, message, priority, correlationId } = first.notification;
    const recipients = page.map(({ recipient }) => recipient.userId);
    const payload = { id, kind, ruleId, eventId, projectId, title, message, priority, recipients };
    bus.emit("notification:created", payload, correlationId);
  }
}
