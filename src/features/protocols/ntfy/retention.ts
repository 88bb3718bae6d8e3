import { sql } from "kysely";
import { DAY_MS } from "../../../core/time/clock.ts";
import { streamName } from "../../../live/stream.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../../store/database.ts";
import { type NamedSweep, sweepOf, sweepRows } from "../../../store/retention.ts";
import { deleteEntries, endStream, forgetEnd } from "../../events/streams/index.ts";
import type { Attachments } from "./attachments.ts";

/** Messages with their entries. Clients cannot request expired ones, so no gap is recorded. */
const messages = sweepRows(
  "ntfy_messages",
  (db, now) =>
    db
      .selectFrom("ntfy_messages")
      .select(["id", "seq"])
      .where("expiresAt", "<=", now)
      .where("seq", "is not", null)
      .orderBy("expiresAt"),
  {
    async remove(trx, keys) {
      const seqs = keys.flatMap(({ seq }) => (seq === null ? [] : [seq]));
      await deleteEntries(trx, seqs);
      const ids = keys.map(({ id }) => id);
      const last = trx.selectFrom("ntfy_messages").select((e) => ["topic", e.fn.max("at").as("at")]);
      for (const { topic, at } of await last.where("id", "in", ids).groupBy("topic").execute())
        await trx
          .updateTable("ntfy_topics")
          .set({ lastUsedAt: at })
          .where("name", "=", topic)
          .where((e) => e.or([e("lastUsedAt", "is", null), e("lastUsedAt", "<", at)]))
          .execute();
      await trx.deleteFrom("ntfy_messages").where("id", "in", ids).execute();
    },
  },
);

const tokens = sweepRows("ntfy_tokens", (db, now) =>
  db.selectFrom("ntfy_tokens").select("hash").where("expiresAt", "<=", now),
);

/** How long a topic that a publish made is kept without messages and subscribers. */
const UNUSED_MS = 30 * DAY_MS;

function unusedTopics(db: ReadDb | Trx, now: number) {
  return db
    .selectFrom("ntfy_topics as t")
    .select("t.name")
    .where("t.kind", "=", "messages")
    .where("t.isKept", "=", 0)
    .where((e) => e(e.fn.coalesce("t.lastUsedAt", "t.createdAt"), "<=", now - UNUSED_MS))
    .where((e) => e.not(e.exists(e.selectFrom("ntfy_messages as m").select("m.id").whereRef("m.topic", "=", "t.name"))))
    .where((e) => {
      const rights = e.selectFrom("ntfy_access as a").select("a.pattern").whereRef("a.pattern", "=", "t.name");
      return e.not(e.exists(rights.whereRef("a.projectId", "=", "t.projectId")));
    });
}

const topics = sweepRows("ntfy_topics", unusedTopics, {
  async remove(trx, keys) {
    const deleted = keys.map(({ name }) => name);
    await trx.deleteFrom("ntfy_topics").where("name", "in", deleted).execute();
    addEffect(trx, { type: "ntfy-topics-changed", deleted });
  },
});

export const NTFY_SWEEPS: readonly NamedSweep[] = [messages, tokens, topics];

export const DELETE_TOPIC_KIND = "ntfy.topic.delete";

/** A topic that was deleted, with the offset of its last message. */
export interface DeletedTopic {
  readonly topic: string;
  readonly upTo: number;
}

/** Hides the messages of a topic that are sent. @returns what {@link removeMessages} takes; null: there are none */
export async function hideMessages(trx: Trx, topic: string): Promise<DeletedTopic | null> {
  const upTo = await endStream(trx, streamName({ kind: "ntfy", topic }));
  return upTo === 0 ? null : { topic, upTo };
}

/** Removes the messages of a deleted topic. A new topic with the same name keeps its messages. */
export async function removeMessages(db: Database, { topic, upTo }: DeletedTopic, signal: AbortSignal): Promise<void> {
  const stream = streamName({ kind: "ntfy", topic });
  const { sweep } = sweepOf<{ seq: number; id: string }>({
    name: "ntfy_messages",
    find: (scan, _now, limit) =>
      scan
        .selectFrom("stream_log")
        .select(["seq", sql<string>`data ->> 'id'`.as("id")])
        .where("stream", "=", stream)
        .where("seq", "<=", upTo)
        .orderBy("seq")
        .limit(limit)
        .execute(),
    async remove(trx, keys) {
      const ids = keys.map(({ id }) => id);
      await trx.deleteFrom("ntfy_messages").where("id", "in", ids).execute();
      await deleteEntries(
        trx,
        keys.map(({ seq }) => seq),
      );
      return keys.length;
    },
  });
  await sweep(db, 0, () => signal.aborted);
  signal.throwIfAborted();
  await db.write((trx) => forgetEnd(trx, stream, upTo));
}

/** Cancels the messages of a topic that wait for their time. */
export async function cancelAllScheduled(db: Database, topic: string): Promise<void> {
  const { sweep } = sweepOf<string>({
    name: "ntfy_messages",
    async find(scan, _now, limit) {
      const waiting = scan.selectFrom("ntfy_messages").select("id").where("topic", "=", topic);
      return (await waiting.where("dueAt", "is not", null).limit(limit).execute()).map(({ id }) => id);
    },
    async remove(trx, ids) {
      await trx.deleteFrom("ntfy_messages").where("id", "in", ids).where("dueAt", "is not", null).execute();
      return ids.length;
    },
  });
  await sweep(db, 0, () => false);
}

/** Attachments: the files first, so that none stays without a row. */
export function attachmentSweep(attachments: Attachments): NamedSweep {
  return sweepOf<string>({
    name: "ntfy_attachments",
    find: async (scan, now, limit) => {
      const expired = scan.selectFrom("ntfy_attachments").select("id").where("expiresAt", "<=", now);
      const ids = (await expired.orderBy("expiresAt").limit(limit).execute()).map(({ id }) => id);
      for (const id of ids) await attachments.remove(id);
      return ids;
    },
    async remove(trx, ids) {
      const { numDeletedRows } = await trx.deleteFrom("ntfy_attachments").where("id", "in", ids).executeTakeFirst();
      return Number(numDeletedRows);
    },
  });
}
