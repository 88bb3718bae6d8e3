import { rm } from "node:fs/promises";
import { join } from "node:path";
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

export const NTFY_SWEEPS: readonly NamedSweep[] = [messages, tokens];

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
