import assert from "node:assert/strict";
import { makeUser } from "../../helpers/people.ts";
import type { TestPrism } from "../../helpers/prism.ts";

/**
 * Uses every route of timers, channels and scheduled notifications, each list with a caller who
 * sees all and one who sees their own.
 */
export async function useTimers(prism: TestPrism): Promise<void> {
  const rita = await makeUser(prism, "timer-rita", ["RuleManager"]);
  const uma = await makeUser(prism, "timer-uma", ["User"]);
  const action = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };
  const v1 = (path: string) => `/api/v1${path}`;
  for (const token of [prism.adminToken, rita.token, uma.token]) {
    const make = async (path: string, body: object): Promise<string> => {
      const reply = await prism.post<{ jobId: string }>(v1(path), body, { token });
      assert.ok(reply.status < 300, reply.text);
      return reply.body.jobId;
    };
    const ids = [
      await make("/time/trigger", { label: "l", delayMs: 60_000, action, dedupeKey: "k" }),
      await make("/time/trigger", { label: "l", cron: "0 9 * * *", action, dedupeKey: "k" }),
    ];
    const cursor = Buffer.from(JSON.stringify([ids[0]])).toString("base64url");
    for (const path of ["/timers", "/notifications/scheduled"])
      for (const query of ["", "?limit=1", "?page=1", "?offset=2000", `?cursor=${cursor}`])
        assert.equal((await prism.get(v1(path + query), { token })).status, 200);
    for (const id of ids) assert.equal((await prism.delete(v1(`/timers/${id}`), { token })).status, 200);
  }
  const { parts } = prism;
  await parts.offers.timer.after("l", 60_000, { type: "event", event: "x" }, { module: "a" });
  await parts.offers.timer.after("l", 60_000, { type: "event", event: "x" }, { module: "a", onConflict: "replace" });
  await parts.offers.timer.after("l", 60_000, { type: "event", event: "x" });
  for (const options of [{ module: "a" }, {}]) assert.equal(await parts.offers.timer.cancel("l", options), true);
  const { status } = await prism.post(v1("/realtime/publish"), { stream: "channel:a", type: "x", data: 1 });
  assert.equal(status, 202);
  for (const path of ["/time/now", "/time/convert?datetime=2026-01-31T08:00:00Z"])
    assert.equal((await prism.get(v1(path))).status, 200);
}
