import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { ScheduledNotification as Line } from "../../../src/client/api-types.gen.ts";
import type { KeyScope } from "../../../src/core/permissions.ts";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { type RequestOptions, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { join, leave } from "../../http/support/access/makers.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";

interface Scheduled {
  readonly jobId: string;
  readonly runAt: string;
  readonly error?: { readonly code: string; readonly details?: readonly { readonly path?: string }[] };
}

const PATH = "/api/v1/notifications";
/** Within the life of an access token. */
const LATER_MS = 600_000;
const YEAR = 31_536_000_000;
const NOTE = { title: "Later", message: "It is time." };

async function server(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings });
  const schedule = async (body: object, options: RequestOptions = {}): Promise<Scheduled> => {
    const reply = await prism.post<Scheduled>(PATH, { ...NOTE, ...body }, options);
    assert.equal(reply.status, 202, reply.text);
    return reply.body;
  };
  const pass = (ms: number, on: TestPrism = prism): void => {
    // Connections would have been silent for as long, if it were more than a step of the clock.
    clock.set(ms);
    on.parts.offers.runner.enqueued([]);
  };
  return { prism, clock, schedule, pass };
}

const stateOf = (prism: TestPrism, jobId: string) =>
  scalarOf<string>(prism, "select state from jobs where id = ?", jobId);
const errorOf = (prism: TestPrism, jobId: string) =>
  scalarOf<string>(prism, "select lastError from jobs where id = ?", jobId);
const sent = (prism: TestPrism, jobId: string) => eventually("it is sent", () => stateOf(prism, jobId) === "succeeded");
const dead = (prism: TestPrism, jobId: string) => eventually("it is dead", () => stateOf(prism, jobId) === "dead");

async function keyWith(prism: TestPrism, projectId: string, scope: KeyScope): Promise<{ id: string; key: string }> {
  return (await prism.post<{ id: string; key: string }>(`/api/v1/projects/${projectId}/keys`, { scopes: [scope] }))
    .body;
}

test("S0-45 a notification is scheduled: answered with its job, sent at its time, live and once", async (t) => {
  const { prism, clock, schedule, pass } = await server(t);
  const uma = await makeUser(prism, "uma");
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await client.ask({ op: "subscribe", id: "1", stream: "user:me" });
  const at = new Date(clock.now() + LATER_MS).toISOString();
  const data = { order: 7 };
  const { jobId, runAt } = await schedule(
    { recipients: ["uma", uma.id], sendAt: at, data, priority: 600, action: { type: "open" } },
    { headers: { "X-Correlation-Id": "c-45" } },
  );
  assert.equal(runAt, at);
  assert.equal(countOf(prism, "notifications"), 0);
  pass(LATER_MS - 1);
  assert.equal(stateOf(prism, jobId), "scheduled");
  pass(1);
  const { data: heard } = await client.expect({ op: "event", type: "notification" });
  await sent(prism, jobId);
  const [row] = rowsOf<Record<string, unknown>>(prism, "select * from notifications");
  assert.deepEqual(
    [row?.["title"], row?.["message"], row?.["kind"], row?.["scheduledJobId"], row?.["priority"], row?.["createdAt"]],
    ["Later", "It is time.", "direct", jobId, 600, clock.now()],
  );
  assert.deepEqual(
    [row?.["correlationId"], row?.["data"], row?.["action"]],
    ["c-45", JSON.stringify(data), '{"type":"open"}'],
  );
  assert.equal((heard as { id: string }).id, row?.["id"]);
  assert.equal(
    scalarOf(prism, "select result from jobs where id = ?", jobId),
    JSON.stringify({ notificationId: row?.["id"] }),
  );
  assert.deepEqual(rowsOf(prism, "select userId from notification_recipients"), [{ userId: uma.id }]);
  const [audit] = rowsOf<{ actor: string }>(prism, "select actor from audit_log where action = 'notification.sent'");
  assert.equal(JSON.parse(audit?.actor ?? "{}").id, prism.parts.offers.devUserId);
});

test("a delay counts from now; a time that is past is now; both end within a year", async (t) => {
  const { prism, clock, schedule } = await server(t);
  const iso = (at: number) => new Date(at).toISOString();
  assert.equal((await schedule({ userId: "me", delayMs: 5000 })).runAt, iso(clock.now() + 5000));
  assert.equal((await schedule({ userId: "me", delayMs: YEAR })).runAt, iso(clock.now() + YEAR));
  assert.equal((await schedule({ userId: "me", sendAt: iso(clock.now() + YEAR) })).runAt, iso(clock.now() + YEAR));
  const past = await schedule({ userId: "me", sendAt: "2001-01-01T00:00:00Z" });
  assert.equal(past.runAt, iso(clock.now()));
  await sent(prism, past.jobId);
  await sent(prism, (await schedule({ userId: "me", delayMs: 0 })).jobId);
  const before = countOf(prism, "jobs");
  for (const { name, body, code = "VALIDATION_FAILED", path } of [
    { name: "both", body: { delayMs: 1, sendAt: iso(clock.now()) } },
    { name: "over a year", body: { delayMs: YEAR + 1 }, path: "delayMs" },
    { name: "at a time over a year ahead", body: { sendAt: iso(clock.now() + YEAR + 1) }, path: "sendAt" },
    { name: "at no time", body: { sendAt: "tomorrow" }, path: "sendAt" },
    { name: "before", body: { delayMs: -1 }, path: "delayMs" },
    {
      name: "without recipients",
      body: { delayMs: 1, userId: "0198c0de-0000-7000-8000-00000000dead" },
      code: "RECIPIENT_NOT_FOUND",
    },
    { name: "with a sound that is not there", body: { delayMs: 1, sound: "a.mp3" }, code: "SOUND_NOT_FOUND" },
    { name: "by a channel that is not there", body: { delayMs: 1, channels: ["email"] }, code: "NOT_CONFIGURED" },
  ])
    await t.test(name, async () => {
      const reply = await prism.post<Scheduled>(PATH, { ...NOTE, userId: "me", ...body });
      assert.equal(reply.body.error?.code, code, reply.text);
      if (path) assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  assert.equal(countOf(prism, "jobs"), before);
});

test("who may send and whom is asked again at its time: rights, keys, membership, accounts", async (t) => {
  const { prism, schedule, pass } = await server(t, { unknownRecipient: "reject" });
  const shop = await makeProject(prism, "shop");
  const uma = await makeUser(prism, "uma");
  const theo = await makeUser(prism, "theo");
  for (const { id } of [uma, theo]) await join(prism, shop.id, id, "viewer");
  const sender = await makeUser(prism, "sender", ["RuleManager"]);
  const [kept, revoked] = [
    await keyWith(prism, shop.id, "notifications:send"),
    await keyWith(prism, shop.id, "notifications:send"),
  ];
  const later = (body: object, options: RequestOptions) => schedule({ delayMs: LATER_MS, ...body }, options);
  const byKey = { apiKey: kept.key };

  const stranger = await makeUser(prism, "stranger");
  const refused = await prism.post<Scheduled>(PATH, { ...NOTE, userId: stranger.id, delayMs: LATER_MS }, byKey);
  assert.equal(refused.body.error?.code, "RECIPIENT_NOT_FOUND", "a key reaches its project's members only");
  assert.equal((await prism.post(PATH, { ...NOTE, userId: "me", delayMs: LATER_MS }, uma)).status, 403);

  const toBoth = await later({ recipients: ["uma", "theo"] }, byKey);
  const toLeaver = await later({ recipients: ["theo"] }, byKey);
  const byRevoked = await later({ recipients: ["uma"] }, { apiKey: revoked.key });
  const byDemoted = await later({ recipients: ["uma"] }, sender);
  const byAdmin = await later({ recipients: ["stranger"] }, {});
  await leave(prism, shop.id, theo.id);
  await prism.delete(`/api/v1/projects/${shop.id}/keys/${revoked.id}`);
  await prism.services.db.write(async (trx) => {
    await trx.deleteFrom("user_roles").where("userId", "=", sender.id).execute();
    await trx.updateTable("users").set({ status: "disabled" }).where("id", "=", stranger.id).execute();
  });
  prism.rightsChanged();
  pass(LATER_MS);
  await sent(prism, toBoth.jobId);
  for (const { jobId } of [toLeaver, byRevoked, byDemoted, byAdmin]) await dead(prism, jobId);
  assert.deepEqual(
    [toLeaver, byAdmin, byRevoked, byDemoted].map(({ jobId }) => errorOf(prism, jobId)?.split(":")[0]),
    ["RECIPIENT_NOT_FOUND", "RECIPIENT_NOT_FOUND", "FORBIDDEN", "FORBIDDEN"],
  );
  assert.deepEqual(rowsOf(prism, "select userId from notification_recipients"), [{ userId: uma.id }]);
  assert.deepEqual(rowsOf(prism, "select projectId, scheduledJobId from notifications"), [
    { projectId: shop.id, scheduledJobId: toBoth.jobId },
  ]);
});

test("GET /notifications/scheduled lists pending notifications, including timers; all of it with jobs:read", async (t) => {
  const { prism, schedule, pass } = await server(t);
  const rita = await makeUser(prism, "rita", ["RuleManager"]);
  const uma = await makeUser(prism, "uma", ["User"]);
  const list = async (query = "", options: RequestOptions = {}) =>
    (await prism.get<{ data: Line[]; total?: number; nextCursor: string }>(`${PATH}/scheduled${query}`, options)).body;
  const timer = (label: string, more: object, options: RequestOptions) =>
    prism.post<Scheduled>("/time/trigger", { label, ...more }, options);
  const note = { type: "notify", payload: { userId: "me", title: "by timer", body: "b" } };
  const direct = await schedule({ userId: "uma", delayMs: LATER_MS }, rita);
  const byTimer = (await timer("t", { delayMs: LATER_MS, action: note }, uma)).body;
  const recurring = (await timer("r", { cron: "0 9 * * *", action: note }, uma)).body;
  await timer("no notification", { delayMs: LATER_MS, action: { type: "event", event: "x" } }, {});
  assert.deepEqual(
    (await list("", uma)).data.map(({ jobId, kind, title, recipients }) => ({ jobId, kind, title, recipients })),
    [
      { jobId: recurring.jobId, kind: "timer", title: "by timer", recipients: [uma.id] },
      { jobId: byTimer.jobId, kind: "timer", title: "by timer", recipients: [uma.id] },
    ],
  );
  const all = (await list()).data.map(({ jobId }) => jobId);
  assert.deepEqual(all, [recurring.jobId, byTimer.jobId, direct.jobId]);
  assert.deepEqual((await list("", rita)).data.length, 3, "a RuleManager holds jobs:read");
  const first = await list("?limit=2");
  assert.deepEqual(valuesOf((await list(`?limit=2&cursor=${first.nextCursor}`)).data, "jobId"), [direct.jobId]);
  assert.equal((await list("?page=2&limit=2")).total, 3);
  const [line] = (await list("?offset=2")).data;
  assert.deepEqual(line, {
    jobId: direct.jobId,
    scheduleId: null,
    kind: "direct",
    label: null,
    runAt: direct.runAt,
    cron: null,
    timezone: null,
    everyMs: null,
    state: "scheduled",
    ...NOTE,
    recipients: [uma.id],
    createdBy: rita.id,
    createdAt: (line as unknown as { createdAt: string }).createdAt,
  });
  pass(LATER_MS);
  await sent(prism, direct.jobId);
  await sent(prism, byTimer.jobId);
  assert.deepEqual(valuesOf((await list()).data, "jobId"), [recurring.jobId]);
});

test("S0-33 DELETE /notifications/:jobId calls a scheduled notification off, a timer's included; so does the canonical path", async (t) => {
  keepsPromise(t, "S0-33");
  const { prism, schedule, pass } = await server(t);
  const made = await prism.post<Scheduled>("/time/trigger", {
    label: "welcome-notification",
    delayMs: 5000,
    action: { type: "notify", payload: { userId: "user-id", title: "Hello!", body: "Timer fired." } },
  });
  const recurring = await prism.post<Scheduled>("/time/trigger", {
    label: "daily",
    cron: "0 9 * * *",
    action: { type: "notify", payload: { userId: "me", title: "t", body: "b" } },
  });
  const [first, second] = [
    await schedule({ userId: "me", delayMs: 5000 }),
    await schedule({ userId: "me", delayMs: 5000 }),
  ];
  for (const path of [
    `/notifications/${made.body.jobId}`,
    `/notifications/${recurring.body.jobId}`,
    `/notifications/${first.jobId}`,
    `${PATH}/scheduled/${second.jobId}`,
  ]) {
    const { status, body } = await prism.delete(path);
    assert.deepEqual([status, body], [200, { cancelled: true, jobId: path.split("/").at(-1) }]);
    const again = await prism.delete<Scheduled>(path);
    const isGone = path.endsWith(recurring.body.jobId);
    assert.deepEqual(
      [again.status, again.body.error?.code],
      isGone ? [404, "JOB_NOT_FOUND"] : [409, "JOB_NOT_CANCELLABLE"],
    );
  }
  pass(5000);
  await prism.parts.base.store.committer.settled();
  assert.deepEqual(rowsOf(prism, "select distinct state from jobs"), [{ state: "cancelled" }]);
  assert.equal(countOf(prism, "notifications"), 0);
});

test("D2: with the prefix a DELETE removes a notification from one's list, without it it calls a job off", async (t) => {
  const { prism } = await server(t);
  const { body } = await prism.post<{ id: string }>(PATH, { ...NOTE, userId: "me" });
  const refused = await prism.delete<Scheduled>(`/notifications/${body.id}`);
  assert.deepEqual([refused.status, refused.body.error?.code], [404, "JOB_NOT_FOUND"]);
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
});

test("only its creator and job managers can cancel it; a running or finished one, or another job, cannot be cancelled", async (t) => {
  const { prism, schedule } = await server(t);
  const shop = await makeProject(prism, "shop");
  const rita = await makeUser(prism, "rita", ["RuleManager"]);
  const uma = await makeUser(prism, "uma");
  await join(prism, shop.id, uma.id, "viewer");
  const [key, other] = [
    await keyWith(prism, shop.id, "notifications:send"),
    await keyWith(prism, shop.id, "notifications:send"),
  ];
  const cancel = async (jobId: string, options: RequestOptions): Promise<string | number> => {
    const { status, body } = await prism.delete<Scheduled>(`/notifications/${jobId}`, options);
    return body.error?.code ?? status;
  };
  const hers = await schedule({ userId: "uma", delayMs: LATER_MS }, rita);
  assert.equal(await cancel(hers.jobId, uma), "JOB_NOT_FOUND", "not even whom it is for");
  assert.equal(await cancel(hers.jobId, { apiKey: key.key }), "JOB_NOT_FOUND");
  assert.equal(await cancel(hers.jobId, { apiKey: shop.apiKey }), "SCOPE_MISSING");
  assert.equal(await cancel(hers.jobId, rita), 200);
  const keys = await schedule({ userId: "uma", delayMs: LATER_MS }, { apiKey: key.key });
  assert.equal(await cancel(keys.jobId, { apiKey: other.key }), "JOB_NOT_FOUND");
  assert.equal(await cancel(keys.jobId, { apiKey: key.key }), 200);
  const managed = await schedule({ userId: "uma", delayMs: LATER_MS }, rita);
  assert.equal(await cancel(managed.jobId, {}), 200);
  const event = await prism.post<Scheduled>("/time/trigger", {
    label: "l",
    delayMs: LATER_MS,
    action: { type: "event", event: "x" },
  });
  assert.equal(await cancel(event.body.jobId, {}), "JOB_NOT_FOUND");
  const done = await schedule({ userId: "me", delayMs: 0 });
  await sent(prism, done.jobId);
  assert.equal(await cancel(done.jobId, {}), "JOB_NOT_CANCELLABLE");
  await prism.services.db.write((trx) =>
    trx.updateTable("jobs").set({ state: "running", finishedAt: null }).where("id", "=", done.jobId).execute(),
  );
  assert.equal(await cancel(done.jobId, {}), "JOB_NOT_CANCELLABLE");
  await prism.services.db.write((trx) =>
    trx.updateTable("jobs").set({ state: "succeeded", finishedAt: 1 }).where("id", "=", done.jobId).execute(),
  );
});

test("a dedupeKey is one notification: while it waits, and after it was sent", async (t) => {
  const { prism, schedule, pass } = await server(t);
  const body = { userId: "me", delayMs: LATER_MS, dedupeKey: "k" };
  const first = await schedule(body);
  assert.deepEqual(await schedule({ ...body, delayMs: 1, title: "another" }), first);
  const others = await schedule(body, await makeUser(prism, "rita", ["RuleManager"]));
  assert.notEqual(others.jobId, first.jobId);
  pass(LATER_MS);
  await sent(prism, first.jobId);
  await sent(prism, others.jobId);
  const again = await schedule({ ...body, delayMs: 0 });
  await sent(prism, again.jobId);
  assert.equal(countOf(prism, "notifications"), 2, "one of each sender");
});

test("a crash between the commit and the answer: the repeated request is the same job, and it is sent once", async (t) => {
  const { prism, clock, pass } = await server(t);
  const headers = { "Idempotency-Key": "later-1" };
  const body = { ...NOTE, userId: "me", delayMs: LATER_MS };
  const first = await prism.post<Scheduled>(PATH, body, { headers });
  const next = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  const again = await next.post<Scheduled>(PATH, body, { headers });
  assert.deepEqual([again.status, again.body], [202, first.body]);
  assert.equal(countOf(next, "jobs"), 1);
  pass(LATER_MS, next);
  await sent(next, first.body.jobId);
  // What a kill between the commit of the effect and whatever follows leaves: the notification is
  // there, and so is the end of the job.
  const last = await startPrism(t, { clock, dir: await crashImage(t, next) });
  assert.equal(stateOf(last, first.body.jobId), "succeeded");
  pass(LATER_MS, last);
  await last.parts.base.store.committer.settled();
  assert.deepEqual(rowsOf(last, "select scheduledJobId from notifications"), [{ scheduledJobId: first.body.jobId }]);
});

test("a crash while it is sent leaves all of it or none, and it is there once in the end", async (t) => {
  const { prism, clock, schedule } = await server(t);
  const { jobId } = await schedule({ userId: "me", delayMs: LATER_MS });
  // What a kill between the claim and the effect leaves: a job that runs in a process that is gone.
  await prism.services.db.write((trx) =>
    trx.updateTable("jobs").set({ state: "running", workerId: "gone", attempts: 1, fence: 1, startedAt: 1 }).execute(),
  );
  const next = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  await sent(next, jobId);
  assert.deepEqual(rowsOf(next, "select scheduledJobId from notifications"), [{ scheduledJobId: jobId }]);
});
