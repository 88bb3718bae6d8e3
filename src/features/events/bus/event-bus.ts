import { currentCaller } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { ConsumeOptions, EventInput } from "../../../module/module-api.ts";
import type { Database } from "../../../store/database.ts";
import type { Projects } from "../../access/index.ts";
import type { IngestService } from "../pipeline/ingest-service.ts";
import { Bus } from "./bus.ts";
import type { BatchHandler, EventConsumers } from "./event-consumers.ts";

export interface EventLogParts {
  readonly database: Database;
  readonly ingest: IngestService;
  readonly projects: Projects;
  readonly consumers: EventConsumers;
}

/** The bus, and beside it the log of events: what is emitted is gone with the process, what is ingested is kept. */
export class EventBus extends Bus {
  #log: EventLogParts | null = null;

  /** The log is there from now on: it is made later than the bus, on which it tells what it stores. */
  connect(log: EventLogParts): void {
    this.#log = log;
  }

  /** @throws TypeError inside a transaction, for it would wait for itself; PROJECT_NOT_FOUND, VALIDATION_FAILED, ID_CONFLICT, OVERLOADED */
  async ingest({ projectId: ref, correlationId, ...event }: EventInput): Promise<{ id: string; seq: number }> {
    const { database, ingest, projects } = this.#required();
    database.requireOutside();
    const projectId = ref === undefined ? projects.defaultId : projects.find(ref);
    if (projectId === undefined) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    const correlation = correlationId ?? currentCaller().correlationId ?? uuidv7();
    return ingest.ingest({ ...event, projectId, correlationId: correlation });
  }

  /** A reader of the log with a place of its own. @returns what ends it. @throws TypeError for a name in use */
  consume(name: string, handler: BatchHandler, options?: ConsumeOptions): () => Promise<void> {
    return this.#required().consumers.consume(name, handler, options);
  }

  #required(): EventLogParts {
    if (!this.#log) throw new TypeError("the log of events is not there yet");
    return this.#log;
  }
}
