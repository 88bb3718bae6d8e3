import assert from "node:assert/strict";
import test from "node:test";
import { flattenOptions } from "../../../../src/config/option.ts";
import { OPTIONS } from "../../../../src/config/options.ts";
import { deferred } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism } from "../../../helpers/prism.ts";

test("the settings that a reload takes over are the public URL, registration, mail, the certificate, projects, drills, escalation, alerts, digests, reports, ages, levels, origins, request limits, limits of what people make, budgets of work, bounds of receivers, queues, subscriptions of status pages, and bounds of suppression, delivery, schedules, silences and messages", () => {
  const reloadable = flattenOptions(OPTIONS)
    .filter(([, option]) => option.reloadable)
    .map(([key]) => key);
  assert.deepEqual(
    [...new Set(reloadable.map((key) => key.split(".")[0]))],
    [
      "publicUrl",
      "auth",
      "smtp",
      "mailIn",
      "emergency",
      "watch",
      "ntfy",
      "gotify",
      "tls",
      "projects",
      "drill",
      "escalation",
      "alert",
      "digest",
      "reports",
      "retention",
      "log",
      "debug",
      "cors",
      "rateLimit",
      "limits",
      "work",
      "receivers",
      "queues",
      "suppression",
      "delivery",
      "schedules",
      "statusPages",
      "silences",
      "messages",
    ],
  );
});

test("after a reload a queue runs as many jobs at a time as it now may, more or fewer", async (t) => {
  const prism = await startPrism(t, { settings: { "queues.timers.concurrency": "1" } });
  const { config, clock } = prism.parts.base;
  const { jobs, runner } = prism.parts.offers;
  const going: (() => void)[] = [];
  let done = 0;
  runner.handle("test.held", async () => {
    const { promise, resolve } = deferred<void>();
    going.push(resolve);
    await promise;
    done++;
  });
  const reload = (concurrency: number): void =>
    prism.app.reload({
      ...config,
      queues: { ...config.queues, timers: { ...config.queues.timers, concurrency, maxAttempts: 7 } },
    });
  const add = (): Promise<{ jobId: string }> =>
    jobs.enqueue({ queue: "timers", kind: "test.held", payload: {}, runAt: clock.now() });
  for (let i = 0; i < 12; i++) await add();
  await eventually("one at work", () => going.length === 1);
  reload(4);
  await eventually("four at work", () => going.length === 4);
  const { jobId } = await add();
  const row = await prism.parts.base.database.read
    .selectFrom("jobs")
    .select("maxAttempts")
    .where("id", "=", jobId)
    .executeTakeFirst();
  assert.equal(row?.maxAttempts, 7, "new jobs have the new number of attempts");
  reload(1);
  for (const end of going.splice(0)) end();
  await eventually("four are done", () => done === 4);
  await eventually("one at work", () => going.length > 0);
  // Each end lets one begin, and never a second one beside it.
  while (done < 13) {
    assert.equal(going.length, 1);
    const before = done;
    going.shift()?.();
    await eventually("the next one", () => done > before && (going.length > 0 || done === 13));
  }
});
