import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { firstSeqSince } from "../../../src/features/events/queries.ts";
import { startPrism } from "../../helpers/prism.ts";

test("the first offset since an instant is found over gaps, between equal times, before the first event and after the last", async (t) => {
  const prism = await startPrism(t);
  const { db } = prism.services;
  const { projects } = prism.parts.offers;
  const steps = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 1000 }), ms: fc.nat(3) }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      let seq = 0;
      let receivedAt = 1000;
      const rows = given.map(({ gap, ms }) => {
        seq += gap;
        receivedAt += ms;
        return { seq, receivedAt };
      });
      await db.write(async (trx) => {
        await trx.deleteFrom("events").execute();
        for (const row of rows)
          await trx
            .insertInto("events")
            .values({
              ...row,
              id: `e${row.seq}`,
              projectId: projects.defaultId,
              type: "a",
              level: "info",
              source: null,
              payload: "{}",
              dedupeKey: null,
              occurredAt: row.receivedAt,
              processedAt: null,
              correlationId: null,
            })
            .execute();
      });
      for (let at = 999; at <= receivedAt + 1; at++) {
        const from = await firstSeqSince(db.read, at);
        assert.deepEqual(
          rows.filter((row) => row.seq >= from),
          rows.filter((row) => row.receivedAt >= at),
        );
      }
    }),
    { numRuns: 15 },
  );
});
