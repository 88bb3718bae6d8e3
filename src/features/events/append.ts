import { uuidv7 } from "../../core/ids.ts";
import type { Level, OwnEventType } from "../../core/text/vocabulary.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { addEffect, nextEventSeq, type Trx } from "../../store/database.ts";
import type { EventsTable } from "../../store/schema.ts";
import { insertLater } from "../../store/statements.ts";

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
 * Appends events to the log as part of a transaction. After the commit they are published, and the
 * backlog decides them by the rules.
 * @param source of those that name none. @returns their ids
 */
export async function appendEvents(
  trx: Trx,
  events: readonly EventDraft[],
  { source, now }: { readonly source: string; readonly now: EpochMs },
): Promise<string[]> {
  if (events.length === 0) return [];
  const rows = events.map((event): EventsTable => {
    const { id = uuidv7(), projectId, type, level, payload, correlationId = null } = event;
    const at = { occurredAt: event.occurredAt ?? now, receivedAt: now, processedAt: null };
    return {
      seq: nextEventSeq(trx),
      id,
      projectId,
      type,
      level,
      source: event.source ?? source,
      payload: JSON.stringify(payload),
      dedupeKey: null,
      ...at,
      correlationId,
    };
  });
  for (const [at, row] of rows.entries()) {
    insertLater(trx, "events", row);
    const receiverId = events[at]?.receiverId;
    if (receiverId !== undefined) insertLater(trx, "receiver_events", { eventSeq: row.seq, receiverId });
  }
  addEffect(trx, { type: "events-appended", events: rows });
  return rows.map(({ id }) => id);
}
