import type { Selectable } from "kysely";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { type SealedBox, UnsealError } from "../../core/sealed-box.ts";
import type { MessagesTable } from "../../store/schema.ts";

export type MessageRow = Selectable<MessagesTable>;

/** Where a message's content is at home: a sealed one that was moved to another row does not open. */
export function contentPlace(id: string): string {
  return `messages.content.${id}`;
}

export function sealContent(box: SealedBox, id: string, content: string): Buffer {
  return box.seal(contentPlace(id), Buffer.from(content));
}

/** @returns null when no configured key opens it: everything else of the message is there all the same. */
export function openContent(box: SealedBox, { id, content }: Pick<MessageRow, "id" | "content">): string | null {
  try {
    return box.open(contentPlace(id), content).toString();
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

/** Everything about a message but its content: what those see who may read all messages. */
export function metadataView(row: Omit<MessageRow, "content" | "history" | "jobId">) {
  return {
    id: row.id,
    senderId: row.senderId,
    recipientId: row.recipientId,
    status: row.status,
    delayMs: row.delayMs,
    deliverAt: toRfc3339(row.deliverAt),
    attempts: row.attempts,
    lastError: row.lastError,
    deliveredAt: toRfc3339OrNull(row.deliveredAt),
    readAt: toRfc3339OrNull(row.readAt),
    cancelledAt: toRfc3339OrNull(row.cancelledAt),
    correlationId: row.correlationId,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
  };
}

/** A message as its sender and its recipient see it, in lists and as an entry of their streams. */
export function messageView(box: SealedBox, row: MessageRow) {
  return { ...metadataView(row), content: openContent(box, row) };
}
