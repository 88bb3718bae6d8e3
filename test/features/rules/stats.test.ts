import assert from "node:assert/strict";
import test from "node:test";
import type { RuleStats as Stats } from "../../../src/client/api-types.gen.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism } from "../../helpers/prism.ts";
import { allDecided } from "../events/pipeline/support/all-decided.ts";

const DAY_MS = 86_400_000;
const START = Date.parse("2026-05-10T23:59:00Z");

test("a rule's totals, in all, of a time, and by day", async (t) => {
  const clock = new FakeClock(START);
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "1d" } });
  const signIn = async () => (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
  });
  const { body: silent } = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "s",
    condition: "event.type == 'x'",
    targetRoles: ["Auditor"],
  });
  const send = async (count: number) => {
    await prism.post("/api/v1/events", Array(count).fill({ type: "x" }), { token: await signIn() });
    await allDecided(prism);
  };
  await send(2);
  clock.advance(2 * 60_000);
  await send(3);
  clock.advance(DAY_MS);
  await send(1);
  const token = await signIn();
  const stats = async (id: string, query = "") => {
    const { body } = await prism.get<Stats & Record<string, unknown>>(`/api/v1/rules/${id}/stats${query}`, { token });
    return body;
  };
  const all = await stats(rule.id);
  assert.deepEqual(
    [all.matched, all.fired, all.noRecipients, all.lastMatchedAt],
    [6, 6, 0, new Date(clock.now()).toISOString()],
  );
  assert.deepEqual(all.perDay, [
    { day: "2026-05-10", matched: 2, fired: 2 },
    { day: "2026-05-11", matched: 3, fired: 3 },
    { day: "2026-05-12", matched: 1, fired: 1 },
  ]);
  const listed = await prism.get<{ data: { id: string; activity: object }[] }>("/api/v1/rules?include=activity", {
    token,
  });
  const activity = new Map(listed.body.data.map((each) => [each.id, each.activity]));
  const lately = { matched: 4, fired: 4, lastFiredAt: new Date(clock.now()).toISOString(), isCut: false };
  assert.deepEqual(activity.get(rule.id), lately);
  assert.deepEqual(activity.get(silent.id), { ...lately, fired: 0, lastFiredAt: null });
  const part = await stats(rule.id, "?from=2026-05-11T00:00:00Z&to=2026-05-12T00:00:00Z");
  assert.deepEqual([part.matched, part.fired, part.perDay], [3, 3, [{ day: "2026-05-11", matched: 3, fired: 3 }]]);
  const since = await stats(rule.id, "?from=2026-05-11T00:00:00Z");
  assert.deepEqual([since.matched, since.perDay.length], [4, 2]);
  const before = await stats(rule.id, "?to=2026-05-10T23:59:00Z");
  assert.deepEqual([before.matched, before.perDay], [0, []], "the end of a time does not belong to it");
  const nobody = await stats(silent.id);
  assert.deepEqual([nobody.matched, nobody.fired, nobody.noRecipients], [6, 0, 6]);
  assert.deepEqual(nobody.perDay[0], { day: "2026-05-10", matched: 2, fired: 0 });
  assert.deepEqual((await stats(silent.id, "?from=2026-05-12T00:00:00Z")).noRecipients, 1);
  const shown = await prism.get<{ stats: Stats }>(`/api/v1/rules/${rule.id}`, { token });
  assert.equal(shown.body.stats.matched, 6);
  assert.equal((await prism.get(`/api/v1/rules/${rule.id}/stats?from=today`, { token })).status, 400);
});
