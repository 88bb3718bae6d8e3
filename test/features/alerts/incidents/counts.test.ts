import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attention, IncidentCounts } from "../../../../src/client/api-types.gen.ts";
import { answered } from "../../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const PATH = "/api/v1/incidents";

test("unresolved incidents are counted by what they need, as the list and the lines of attention show them", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism, clock } = world;
  const ann = await world.member("ann");
  const counts = async (query = "", token?: string) =>
    (await answered(200, prism.get<IncidentCounts>(`${PATH}/counts${query}`, token === undefined ? {} : { token })))
      .body;
  const none = { waiting: 0, quiet: 0, acknowledged: 0, snoozed: 0, mine: 0, mineElsewhere: 0, isCut: false };
  assert.deepEqual(await counts("", ann.token), none);

  for (const name of ["A", "B", "C", "D", "E"]) await world.fire(name);
  const ids = new Map((await world.rows()).map(({ id, title }) => [title, id]));
  await answered(200, prism.post(`${PATH}/${ids.get("B")}/acknowledge`, {}, { token: ann.token }));
  await answered(200, prism.post(`${PATH}/${ids.get("C")}/snooze`, { durationMs: 10 * MINUTE }, { token: ann.token }));
  await answered(200, prism.post(`${PATH}/${ids.get("D")}/resolve`, {}, { token: ann.token }));
  const silence = {
    matchers: [{ name: "alertname", value: "E" }],
    startsAt: new Date(clock.now()).toISOString(),
    endsAt: new Date(clock.now() + 60 * MINUTE).toISOString(),
    comment: "maintenance",
  };
  await answered(201, prism.post("/api/v1/silences", silence));
  const found = { ...none, waiting: 1, quiet: 1, acknowledged: 1, snoozed: 1 };
  assert.deepEqual(await counts("", ann.token), { ...found, mine: 4 });
  assert.equal((await counts()).mine, 0, "the administrator was not notified");
  const { defaultProjectId } = prism.parts.offers;
  assert.deepEqual(await counts(`?projectId=${defaultProjectId}`, ann.token), { ...found, mine: 4 });
  assert.equal((await prism.get(`${PATH}/counts?projectId=none`)).status, 404);

  const list = await prism.get<{ data: readonly unknown[] }>(`${PATH}?state=unresolved`);
  assert.equal(list.body.data.length, found.waiting + found.quiet + found.acknowledged + found.snoozed);
  const { items } = (await prism.get<Attention>("/api/v1/attention?grouped=true")).body;
  assert.equal(items.filter(({ kind }) => kind === "incident").length, found.waiting);
});

test("incidents beyond the listed lines of attention are those that the counts have besides", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism } = world;
  await world.member("ann");
  for (let n = 0; n < 9; n++) await world.fire(`A${n}`);
  const { items } = (await prism.get<Attention>("/api/v1/attention?grouped=true")).body;
  const more = items.find(({ kind }) => kind === "incidents")?.counts["incidents"] ?? 0;
  const listed = items.filter(({ kind }) => kind === "incident").length;
  const { body } = await prism.get<IncidentCounts>(`${PATH}/counts`);
  assert.deepEqual([listed, more, body.waiting], [5, 4, 9]);
});
