import assert from "node:assert/strict";
import { test } from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { DAY_MS } from "../../../src/core/time/clock.ts";
import { PageSender } from "../../../src/features/delivery/pages/sender.ts";
import { addPages, readOpenPages } from "../../../src/features/delivery/pages/store.ts";
import { eventually } from "../../helpers/eventually.ts";

import { IncidentWorld } from "../alerts/incidents/support.ts";

test("a place that is free goes to a target that may have it, past those of an owner at its limit", async (t) => {
  const { prism, clock, projectId } = await IncidentWorld.start(t);
  const { database: db } = prism.parts.base;
  const { channels, projects } = prism.parts.offers;
  const sender = new PageSender({ db, clock, log: prism.parts.core.log, channels, projects });
  t.after(() => sender.stop());
  const answers = new Map<string, () => void>();
  sender.handle("channel", {
    atOnce: 1,
    send: ({ target }) => new Promise((resolve) => answers.set(target, () => resolve({ answer: null }))),
  });
  const add = async (owner: string, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const place = {
        target: `${owner}${n}`,
        provider: `host ${owner}${n}`,
        owner,
        way: "w",
        kind: "channel",
      } as const;
      const id = uuidv7();
      // The server's own sender leaves them.
      const rest = { projectId, reason: "step", urgency: "high", heldUntil: clock.now() + DAY_MS } as const;
      await db.write((trx) => addPages(trx, [{ ...place, ...rest, id, incidentId: id }], clock.now()));
      const facts = readOpenPages(prism.parts.base.store.reader).find((page) => page.id === id);
      assert.ok(facts);
      sender.changed({ type: "pages-changed", open: [{ ...facts, heldUntil: null }] });
    }
  };
  sender.start();
  await add("a", 65);
  await add("b", 64);
  await add("c", 1);
  await eventually("all places of targets that have not answered are taken", () => answers.size === 128);
  assert.deepEqual([answers.has("a64"), answers.has("c0")], [false, false]);
  answers.get("b0")?.();
  await eventually("the third owner's target is called", () => answers.has("c0"));
  assert.equal(answers.has("a64"), false);
  for (let n = 0; n < 64; n++) answers.get(`a${n}`)?.();
  await eventually("so is the rest", () => answers.has("a64"));
  for (const answer of answers.values()) answer();
  await sender.idle();
});
