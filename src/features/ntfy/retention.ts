import { rm } from "node:fs/promises";
import { join } from "node:path";
import { DAY_MS } from "../../core/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../store/database.ts";
import { type NamedSweep, sweepOf } from "../../store/retention.ts";
import { ATTACHMENTS_DIR } from "./attachments.ts";

/** Messages with their entries. Clients cannot request expired ones, so no gap is recorded. */
const messages = sweepOf<{ id: string; seq: number | null }>({
  name: "ntfy_messages",
  find: (scan, now, limit) =>
    scan
      .selectFrom("ntfy_messages")
      .select(["id", "seq"])
      .where("expiresAt", "<=", now)
      .where("seq", "is not", null)
      .orderBy("expiresAt")
      .limit(limit)
      .execute(),
  async remove(trx, keys) {
    const seqs = keys.flatMap(({ seq }) => (seq === null ? [] : [seq]));
    await trx.deleteFrom("stream_log").where("seq", "in", seqs).execute();
    const ids = keys.map(({ id }) => id);
    const last = trx.selectFrom("ntfy_messages").select((e) => ["topic", e.fn.max("at").as("at")]);
    for (const { topic, at } of await last.where("id", "in", ids).groupBy("topic").execute())
      await trx
        .updateTable("ntfy_topics")
        .set({ lastUsedAt: at })
        .where("name", "=", topic)
        .where((e) => e.or([e("lastUsedAt", "is", null), e("lastUsedAt", "<", at)]))
        .execute();
    const { numDeletedRows } = await trx.deleteFrom("ntfy_messages").where("id", "in", ids).executeTakeFirst();
    return Number(numDeletedRows);
  },
});

const tokens = sweepOf<string>({
  name: "ntfy_tokens",
  find: async (scan, now, limit) => {
    const rows = await scan
      .selectFrom("ntfy_tokens")
      .select("hash")
      .where("expiresAt", "<=", now)
      .limit(limit)
      .execute();
    return rows.map(({ hash }) => hash);
  },
  async remove(trx, hashes, now) {
    const expired = trx.deleteFrom("ntfy_tokens").where("hash", "in", hashes).where("expiresAt", "<=", now);
    return Number((await expired.executeTakeFirst()).numDeletedRows);
  },
});

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

const topics = sweepOf<string>({
  name: "ntfy_topics",
  find: async (scan, now, limit) => (await unusedTopics(scan, now).limit(limit).execute()).map(({ name }) => name),
  async remove(trx, names, now) {
    const deleted = (await unusedTopics(trx, now).where("t.name", "in", names).execute()).map(({ name }) => name);
    if (deleted.length === 0) return 0;
    await trx.deleteFrom("ntfy_topics").where("name", "in", deleted).execute();
    addEffect(trx, { type: "ntfy-topics-changed", deleted });
    return deleted.length;
  },
});

export const NTFY_SWEEPS: readonly NamedSweep[] = [messages, tokens, topics];

/** Attachments: the files first, so that none stays without a row. */
export function attachmentSweep(dataDir: string): NamedSweep {
  return sweepOf<string>({
    name: "ntfy_attachments",
    find: async (scan, now, limit) => {
      const expired = scan.selectFrom("ntfy_attachments").select("id").where("expiresAt", "<=", now);
      const ids = (await expired.orderBy("expiresAt").limit(limit).execute()).map(({ id }) => id);
      for (const id of ids) await rm(join(dataDir, ATTACHMENTS_DIR, id), { force: true });
      return ids;
    },
    async remove(trx, ids) {
      const { numDeletedRows } = await trx.deleteFrom("ntfy_attachments").where("id", "in", ids).executeTakeFirst();
      return Number(numDeletedRows);
    },
  });
}
