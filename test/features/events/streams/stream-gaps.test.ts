import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { noteRemoved } from "../../../../src/features/events/streams/index.ts";
import type { Trx } from "../../../../src/store/database.ts";
import { openTestStore } from "../../../helpers/store.ts";

interface Entry {
  readonly stream: string;
  readonly userId: string;
  readonly seq: number;
  readonly isLog: boolean;
  state: "kept" | "deleted" | "removed";
}

async function remove(trx: Trx, entries: readonly Entry[]): Promise<void> {
  const seqs = entries.map(({ seq }) => seq);
  await trx.deleteFrom("stream_log").where("seq", "in", seqs).execute();
  await trx.deleteFrom("notification_recipients").where("seq", "in", seqs).execute();
  await noteRemoved(trx, entries);
  for (const entry of entries) entry.state = "removed";
}

/** What a user deletes stays as a row. */
async function deleteSome(trx: Trx, entries: readonly Entry[]): Promise<void> {
  const notifications = entries.filter(({ isLog }) => !isLog);
  const seqs = notifications.map(({ seq }) => seq);
  await trx.updateTable("notification_recipients").set({ deletedAt: 1 }).where("seq", "in", seqs).execute();
  for (const entry of notifications) entry.state = "deleted";
}

async function add(trx: Trx, { stream, userId, seq, isLog }: Entry): Promise<void> {
  const logged = { seq, stream, type: "t", data: "{}", correlationId: "c", createdAt: 0 };
  if (isLog) await trx.insertInto("stream_log").values(logged).execute();
  else
    await trx
      .insertInto("notification_recipients")
      .values({ notificationId: `n-${seq}`, userId, seq })
      .execute();
}

async function gapsOf(trx: Trx, stream: string): Promise<[from: number, to: number][]> {
  const rows = await trx
    .selectFrom("stream_gaps")
    .selectAll()
    .where("stream", "=", stream)
    .orderBy("fromSeq")
    .execute();
  return rows.map(({ fromSeq, toSeq }) => [fromSeq, toSeq]);
}

test("gaps have what was removed and nothing that is kept, in any order of steps, and are one in the end", async (t) => {
  const { database: db } = openTestStore(t);
  let runs = 0;
  const step = fc.record({
    kind: fc.constantFrom("log", "notify", "notify", "delete", "delete", "remove"),
    picks: fc.infiniteStream(fc.boolean()),
  });
  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) =>
    db.write(async (trx) => {
      const entries: Entry[] = [];
      const users = ["ann", "ben"].map((name) => `${name}-${runs}`);
      runs++;
      const isLeft = ({ state }: Entry): boolean => state !== "removed";
      for (const { kind, picks } of steps) {
        const picked = entries.filter(isLeft).filter(() => picks.next().value);
        if (kind === "remove") await remove(trx, picked);
        else if (kind === "delete") await deleteSome(trx, picked);
        else
          for (const userId of users) {
            const place = { stream: `user:${userId}`, userId, seq: db.nextOffset(trx) };
            const entry: Entry = { ...place, isLog: kind === "log", state: "kept" };
            await add(trx, entry);
            entries.push(entry);
          }
      }
      for (const userId of users) {
        const own = entries.filter((entry) => entry.userId === userId);
        const gaps = await gapsOf(trx, `user:${userId}`);
        const inGap = own.filter(({ seq }) => gaps.some(([from, to]) => from < seq && seq <= to));
        assert.deepEqual(
          inGap.filter(({ state }) => state !== "deleted"),
          own.filter(({ state }) => state === "removed"),
        );
        const ends = gaps.flat();
        assert.deepEqual(
          ends,
          ends.toSorted((one, other) => one - other),
          "no two overlap",
        );
      }
      await remove(trx, entries.filter(isLeft));
      for (const userId of users) {
        const last = entries.findLast((entry) => entry.userId === userId);
        assert.deepEqual(await gapsOf(trx, `user:${userId}`), last ? [[0, last.seq]] : []);
      }
    }),
  );
  await fc.assert(property, { numRuns: 200 });
});
