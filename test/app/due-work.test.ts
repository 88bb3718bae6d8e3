import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { deferred } from "../../src/core/promises.ts";
import { HOUR_MS, MINUTE_MS, toRfc3339 } from "../../src/core/time/clock.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import { column, openBeside } from "../helpers/store.ts";

/** What became due while no server led, and how the tables show that it was done. */
const DONE = {
  "a silence ends": "select count(*) from events where type = 'silence.ended'",
  "a shift begins": "select count(*) from events where type = 'oncall.changed'",
  "a scheduled message is sent": "select count(*) from events where type = 'ntfy.message'",
  "a schedule makes a job": "select count(*) from jobs where kind = 'tick' and scheduleId is not null",
  "a waiting job is ready": "select count(*) from jobs where kind = 'tock' and state <> 'scheduled'",
};

test("who begins to lead does what is overdue at once, of every kind, and nothing while it only loads", async (t) => {
  const clock = new FakeClock();
  const [hasLoaded, mayWork] = [deferred<void>(), deferred<void>()];
  let isHeld = false;
  const prism = await startPrism(t, {
    clock,
    settings: { "rateLimit.enabled": "false", "auth.accessExpires": "30d" },
    beforeWork: async () => {
      if (!isHeld) return;
      hasLoaded.resolve();
      await mayWork.promise;
    },
  });
  const post = async (path: string, body: unknown, headers = {}): Promise<Record<string, unknown>> => {
    const reply = await prism.post(path, body, { headers });
    assert.ok(reply.status < 300, `${path} ${reply.text}`);
    return reply.body;
  };
  await post("/api/v1/silences", { matchers: ['team="db"'], durationMs: HOUR_MS, comment: "disks" });
  const { id } = await post("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" });
  const start = toRfc3339(clock.now() + HOUR_MS).slice(0, 19);
  const me = String((await prism.get("/api/v1/users/me")).body["username"]);
  await post(`/api/v1/oncall/schedules/${id}/shifts`, { start, durationMs: 12 * HOUR_MS, turns: [[me]] });
  await post("/ntfy/later", "later", { In: "30min" });
  const { schedules, jobs } = prism.parts.offers;
  await schedules.create({ name: "ticker", queue: "retention", kind: "tick", everyMs: HOUR_MS });
  await jobs.enqueue({ queue: "retention", kind: "tock", payload: {}, runAt: clock.now() + HOUR_MS });
  const beside = openBeside(t, join(prism.dir, "prism.db"));
  const done = (): Record<string, number> =>
    Object.fromEntries(Object.entries(DONE).map(([what, sql]) => [what, Number(column<number>(beside, sql)[0])]));
  const nothing = Object.fromEntries(Object.keys(DONE).map((what) => [what, 0]));
  await eventually("nothing is due", () => Object.values(done()).every((count) => count === 0));

  isHeld = true;
  const restarted = prism.restart(() => clock.advance(HOUR_MS + MINUTE_MS));
  await hasLoaded.promise;
  clock.advance(MINUTE_MS);
  // Longer than the time after which a running one reads its clock.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.deepEqual(done(), nothing);
  mayWork.resolve();
  await restarted;
  await eventually("all is done", () => Object.values(done()).every((count) => count === 1));
});
