import { currentCaller } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { PusherContext, TriggeredEntry } from "./pusher-app.ts";

export interface TriggeredEvent {
  readonly channel: string;
  readonly name: string;
  readonly data: string;
  /** The socket that does not receive it. */
  readonly socketId?: string | null | undefined;
}

interface Waiting {
  readonly entries: readonly TriggeredEntry[];
  readonly bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Limit of entries per transaction, during which all others wait for the writer. */
const MAX_ENTRIES = 500;
const MAX_BYTES = 1_048_576;
/** Limit for all calls that wait for the writer. */
const MAX_WAITING_BYTES = 16_777_216;

/**
 * Writes events of the REST API to the log and sends them to sockets. The events of one call share
 * a transaction, and so do all calls that arrive while another transaction is written: under load
 * many share one sync, and a single one is written at once.
 */
export class Triggers {
  readonly #context: Pick<PusherContext, "db" | "realtime">;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #isWriting = false;

  constructor(context: Pick<PusherContext, "db" | "realtime">) {
    this.#context = context;
  }

  /**
   * Resolves when all are on disk; otherwise none is. @throws OVERLOADED, STORAGE_FULL,
   * DATABASE_UNAVAILABLE, SHUTTING_DOWN
   */
  add(events: readonly TriggeredEvent[]): Promise<void> {
    const correlationId = currentCaller().correlationId ?? uuidv7();
    const entries = events.map((event) => entryOf(event, correlationId));
    const bytes = events.reduce((sum, { data }) => sum + data.length, 0);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES)
      throw new PrismError("OVERLOADED", "Too many events wait to be written", { retryAfterMs: 1000 });
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entries, bytes, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) await this.#write(this.#nextGroup());
    this.#isWriting = false;
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    const { db, realtime } = this.#context;
    try {
      await db.write((trx) =>
        realtime.publishAll(
          group.flatMap(({ entries }) => entries),
          { trx },
        ),
      );
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
    for (const { bytes } of group) this.#waitingBytes -= bytes;
  }

  /** The next waiting calls that fit, at least one. */
  #nextGroup(): Waiting[] {
    let entries = 0;
    let bytes = 0;
    const end = this.#waiting.findIndex((call) => {
      entries += call.entries.length;
      bytes += call.bytes;
      return entries > MAX_ENTRIES || bytes > MAX_BYTES;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end));
  }
}

function entryOf({ channel, name, data, socketId }: TriggeredEvent, correlationId: string): TriggeredEntry {
  return { to: { kind: "pusher", channel }, type: name, data, except: socketId ?? undefined, correlationId };
}
