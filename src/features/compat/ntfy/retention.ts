import { DAY_MS } from "../../../core/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { type NamedSweep, sweepOf, sweepRows } from "../../../store/retention.ts";
import { deleteEntries } from "../../events/streams/index.ts";
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
