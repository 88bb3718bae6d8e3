import assert from "node:assert/strict";
import test from "node:test";
import { newHeartbeat } from "../../../src/features/heartbeats/heartbeats.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";

test("metrics of many heartbeats are made in turns with other requests, and a tag is up if all of its heartbeats are", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { id: projectId, apiKey } = await makeProject(prism);
  const { heartbeats } = prism.parts.offers;
  const tagsOf = (n: number): string => ["even odd", "odd", "even", ""][n % 4] ?? "";
  const rows = Array.from({ length: 250 }, (_, n) => {
    const made = newHeartbeat(heartbeats.ids, projectId, { name: `h${n}`, slug: `h${n}` }, clock.now());
    return { ...made, tags: tagsOf(n), status: n === 41 ? "down" : "new" } as const;
  });
  await prism.parts.base.database.write((trx) => trx.insertInto("heartbeats").values(rows).execute());
  const turns: number[] = [];
  let isNewTurn = true;
  const shownOf = heartbeats.shownOf.bind(heartbeats);
  t.mock.method(heartbeats, "shownOf", (row: Parameters<typeof shownOf>[0]) => {
    if (isNewTurn) {
      isNewTurn = false;
      turns.push(0);
      setImmediate(() => {
        isNewTurn = true;
      });
    }
    turns.push((turns.pop() ?? 0) + 1);
    return shownOf(row);
  });
  const { status, text } = await prism.get(`/projects/${projectId}/metrics`, { apiKey });
  assert.equal(status, 200);
  assert.deepEqual(turns, [100, 100, 50]);
  assert.deepEqual(text.match(/^hc_tag_up.*/gm), ['hc_tag_up{tag="even"} 1', 'hc_tag_up{tag="odd"} 0']);
  assert.deepEqual(text.match(/^hc_checks_.*/gm), ["hc_checks_total 250", "hc_checks_down_total 1"]);
});
