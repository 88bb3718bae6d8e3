import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { outlineJson } from "../../../core/json-text.ts";
import type { JobFinish } from "../../../store/commit/write-set.ts";
import type { RuleEvent } from "../../rules/index.ts";
import type { EventPipeline } from "./pipeline.ts";
import { type EventLimits, readEvent } from "./read-events.ts";

/** An event made inside the process. */
export interface InternalEvent {
  readonly type: string;
  readonly payload?: Readonly<Record<string, unknown>>;
  readonly projectId: string;
  readonly id?: string;
  readonly source?: string;
  readonly level?: string;
  readonly dedupeKey?: string;
  /** RFC 3339. */
  readonly occurredAt?: string;
  readonly correlationId?: string;
}

/** Events of timers, modules and features, on the same way as those of producers. */
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
   * Stores an event; resolves when it is on disk. @param finish a running job that is completed in the same commit.
   * @throws VALIDATION_FAILED, ID_CONFLICT, OVERLOADED, STORAGE_FULL
   */
  async ingest(event: InternalEvent, finish?: JobFinish): Promise<{ id: string; seq: number }> {
    const { correlationId, projectId, ...envelope } = event;
    const text = JSON.stringify(envelope);
    const incoming = readEvent(
      {
        text,
        outline: outlineJson(text, Number.MAX_SAFE_INTEGER),
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
        rowsFor: ([result]) => (finish && result?.status !== "conflict" ? { finish } : {}),
        settled: (_event, result) =>
          result.status === "conflict" ? reject(idConflict()) : resolve({ id: result.id, seq: result.seq }),
        failed: (_event, error) => reject(error),
      });
    });
  }
}

export function idConflict(): PrismError {
  return new PrismError("ID_CONFLICT", "Another project has an event with this id");
}

/** An event as ingest would make it of this object; a type may be left out. @throws VALIDATION_FAILED */
export function trialEvent(value: Readonly<Record<string, unknown>>, projectId: string, now: number): RuleEvent {
  const text = JSON.stringify({ type: "test", ...value });
  return readEvent(
    {
      text,
      outline: outlineJson(text, Number.MAX_SAFE_INTEGER),
      value: JSON.parse(text),
      receivedAt: now,
      newId: uuidv7(now),
      correlationId: null,
      projectOf: () => projectId,
    },
    { maxEventBytes: 262_144, lenient: true },
  );
}
