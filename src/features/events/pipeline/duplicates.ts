import type { Database as Sqlite } from "better-sqlite3";
import type { IncomingEvent } from "../../rules/index.ts";

interface Known {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
}

/**
 * Which events are already there: earlier in the set, in sets on their way, or in the database, asked in this order. The unique indexes
 * are the proof that nothing is stored twice; this is what makes it never come to that.
 */
export class Duplicates {
  readonly #byId = new Map<string, Known>();
  readonly #byDedupeKey = new Map<string, Known>();
  readonly #storedId;
  readonly #storedDedupeKey;

  constructor(reader: Sqlite) {
    this.#storedId = reader.prepare<[string], Known>("select id, seq, projectId from events where id = ?");
    this.#storedDedupeKey = reader.prepare<[string, string], Known>(
      "select id, seq, projectId from events where projectId = ? and dedupeKey = ?",
    );
  }

  /** @returns the event that this one repeats; "conflict" when its id belongs to another project. */
  find(event: IncomingEvent): Known | "conflict" | null {
    if (event.isGivenId) {
      const known = this.#byId.get(event.id) ?? this.#storedId.get(event.id);
      if (known) return known.projectId === event.projectId ? known : "conflict";
    }
    if (event.dedupeKey === null) return null;
    return (
      this.#byDedupeKey.get(dedupeIndex(event)) ?? this.#storedDedupeKey.get(event.projectId, event.dedupeKey) ?? null
    );
  }

  /** The event has its number and is on its way. Ids that we made ourselves are nobody's to repeat before the answer. */
  add(event: IncomingEvent): void {
    if (event.isGivenId) this.#byId.set(event.id, event);
    if (event.dedupeKey !== null) this.#byDedupeKey.set(dedupeIndex(event), event);
  }

  /** The event's set has settled: from now on the database knows, or nobody does. */
  delete(event: IncomingEvent): void {
    if (event.isGivenId && this.#byId.get(event.id) === event) this.#byId.delete(event.id);
    if (event.dedupeKey === null) return;
    const index = dedupeIndex(event);
    if (this.#byDedupeKey.get(index) === event) this.#byDedupeKey.delete(index);
  }
}

function dedupeIndex(event: IncomingEvent): string {
  return `${event.projectId}\n${event.dedupeKey}`;
}
