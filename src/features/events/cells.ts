import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { EventsTable } from "../../store/schema.ts";

/** The columns of an event in CSV, for HTTP and the command line. */
export const EVENT_COLUMNS = [
  "seq",
  "id",
  "projectId",
  "type",
  "level",
  "source",
  "dedupeKey",
  "occurredAt",
  "receivedAt",
  "processedAt",
  "correlationId",
  "payload",
] as const;

/** An event's cells, in the order of {@link EVENT_COLUMNS}. */
export function eventCells(event: EventsTable): (string | number | null)[] {
  const times = {
    occurredAt: toRfc3339(event.occurredAt),
    receivedAt: toRfc3339(event.receivedAt),
    processedAt: toRfc3339OrNull(event.processedAt),
    correlationId: event.correlationId ?? event.id,
  };
  const row = { ...event, ...times };
  return EVENT_COLUMNS.map((column) => row[column]);
}
