import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

interface Refusal {
  readonly error: { readonly code: string; readonly message: string };
}

const action = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };

function trigger(prism: TestPrism, token: string, more: Readonly<Record<string, unknown>>) {
  return prism.post<Refusal & { jobId: string }>("/api/v1/time/trigger", { label: "x", action, ...more }, { token });
}

test("a user has no more unfinished timers and scheduled notifications than the setting allows", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.timersPerUser": "3" } });
  const ann = await makeUser(prism, "ann", ["User"]);
  const bob = await makeUser(prism, "bob", ["User"]);
  const later = { delayMs: 3_600_000 };
  const first = await trigger(prism, ann.token, { ...later, dedupeKey: "k" });
  assert.equal((await trigger(prism, ann.token, later)).status, 201);
  assert.equal((await trigger(prism, ann.token, later)).status, 201);
  const refused = await trigger(prism, ann.token, later);
  assert.deepEqual([refused.status, refused.body.error.code], [409, "LIMIT_REACHED"]);
  assert.match(refused.body.error.message, /limits\.timersPerUser allows 3/);
  assert.equal((await trigger(prism, ann.token, { ...later, dedupeKey: "k" })).body.jobId, first.body.jobId);
  assert.equal((await trigger(prism, bob.token, later)).status, 201, "another user's timers do not count");
  assert.equal((await prism.delete(`/api/v1/timers/${first.body.jobId}`, { token: ann.token })).status, 200);
  assert.equal((await trigger(prism, ann.token, later)).status, 201);
  assert.equal(countOf(prism, "jobs where queue = 'timers' and finishedAt is null"), 4);
});

test("scheduled notifications count as timers of their sender", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.timersPerUser": "2" } });
  const send = () =>
    prism.post<Refusal>("/api/v1/notifications", { recipients: ["me"], title: "t", message: "m", delayMs: 3_600_000 });
  const replies = [await send(), await send(), await send()];
  assert.deepEqual(valuesOf(replies, "status"), [202, 202, 409]);
  assert.equal(replies[2]?.body.error.code, "LIMIT_REACHED");
});

test("a recurring timer runs at most once a minute without jobs:manage, and a user has a limited number", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.schedulesPerUser": "2" } });
  const ann = await makeUser(prism, "ann", ["User"]);
  for (const cron of ["* * * * * *", "*/30 * * * * *", "0,59 0 3 * * *"]) {
    const refused = await trigger(prism, ann.token, { cron });
    assert.deepEqual([refused.status, refused.body.error.code], [400, "VALIDATION_FAILED"], cron);
    assert.match(refused.text, /limits\.minRepeatMs/);
  }
  assert.equal((await trigger(prism, prism.adminToken, { cron: "* * * * * *" })).status, 201);
  assert.equal((await trigger(prism, ann.token, { cron: "* * * * *" })).status, 201);
  assert.equal((await trigger(prism, ann.token, { cron: "30 * * * * *" })).status, 201);
  const refused = await trigger(prism, ann.token, { cron: "0 8 * * *" });
  assert.deepEqual([refused.status, refused.body.error.code], [409, "LIMIT_REACHED"]);
  assert.match(refused.body.error.message, /limits\.schedulesPerUser allows 2/);
});

test("the many due timers of one user do not delay the timer of another", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.enabled": "false" } });
  const ann = await makeUser(prism, "ann", ["User"]);
  const bob = await makeUser(prism, "bob", ["User"]);
  const mine = Array.from({ length: 300 }, () => trigger(prism, ann.token, { delayMs: 60_000 }));
  assert.ok((await Promise.all(mine)).every(({ status }) => status === 201));
  assert.equal((await prism.post("/api/v1/queues/timers/pause")).status, 200);
  clock.advance(60_000);
  const due = "select count(*) from jobs where queue = 'timers' and state = 'ready'";
  prism.parts.offers.runner.enqueued([]);
  await eventually("they are due", () => scalarOf(prism, due) === 300);
  const token = await prism.parts.offers.accessTokens.issue(bob.id);
  assert.equal((await trigger(prism, token.token, { delayMs: 0 })).status, 201);
  assert.equal((await prism.post("/api/v1/queues/timers/resume")).status, 200);
  await eventually("all have fired", () => countOf(prism, "notification_recipients") === 301);
  const before = scalarOf<number>(
    prism,
    `select count(*) from notification_recipients where seq < (select seq from notification_recipients where userId = ?)`,
    bob.id,
  );
  // The first 50 of one user have normal priority; some more run at the same time or by age.
  assert.ok(Number(before) < 120, `${before} of 300 came first`);
});
