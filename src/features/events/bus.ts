import { Bus } from "../../core/bus.ts";
import { currentCaller } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { scanJson } from "../../core/text/json-text.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { ConsumeOptions, EventInput } from "../../module/module-api.ts";
import type { JobFinish } from "../../store/commit/write-set.ts";
import type { NotifiedRecipient } from "../../store/effect.ts";
import { type Announcer, eventJson } from "../notifications/index.ts";
import { IncomingEvent, type RuleEvent } from "../rules/index.ts";
import type { EventDraft } from "./append.ts";
import type { BatchHandler, EventConsumers } from "./consumers.ts";
import type { EventOwner, EventPipeline } from "./pipeline/pipeline.ts";
import { type EventLimits, readEvent } from "./pipeline/read-events.ts";

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
