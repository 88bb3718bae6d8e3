import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { silentLogger } from "../../../../src/core/log.ts";
import { sweepAll } from "../../../../src/store/retention.ts";
import type { JobState } from "../../../../src/store/schema.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";

const DAY = 86_400_000;

async function start(t: TestContext): Promise<{ prism: TestPrism; clock: FakeClock; sweep(): Promise<unknown> }> {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.enabled": "false" } });
  const context = { database: prism.parts.base.database, clock, log: silentLogger };
  return { prism, clock, sweep: () => sweepAll(context, prism.parts.offers.sweeps()) };
}

test("replies kept for an Idempotency-Key go when their day is over, however many there are", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { apiKey } = await makeProject(prism);
  const send = async (key: string) => {
    const reply = await prism.post("/api/v1/events", { type: "a" }, { apiKey, headers: { "Idempotency-Key": key } });
    assert.equal(reply.status, 202);
    return reply.headers.get("idempotency-replayed");
  };
  await send("first");
  const many = Array.from({ length: 1200 }, (_, i) => ({
    scope: "s",
    key: `k${i}`,
    fingerprint: "f",
    createdAt: clock.now(),
    expiresAt: clock.now() + DAY,
  }));
  await prism.parts.base.database.write((trx) => trx.insertInto("idempotency_keys").values(many).execute());
  clock.advance(DAY - 1000);
  await send("second");
  await sweep();
  assert.deepEqual([countOf(prism, "idempotency_keys"), await send("first")], [1202, "true"]);
  clock.advance(1000);
  await sweep();
  assert.equal(countOf(prism, "idempotency_keys"), 1);
  assert.deepEqual([await send("second"), await send("first")], ["true", null]);
});

test("jobs that succeeded or were cancelled are kept for a week, dead ones for thirty days, with their attempts; unfinished ones for ever", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const start0 = clock.now();
  const rows: [string, JobState, number | null][] = [
    ["succeeded", "succeeded", start0],
    ["cancelled", "cancelled", start0],
    ["later", "succeeded", start0 + DAY],
    ["dead", "dead", start0],
    ["waiting", "scheduled", null],
  ];
  await prism.parts.base.database.write(async (trx) => {
    for (const [id, state, finishedAt] of rows) {
      const times = { runAt: start0 + 365 * DAY, createdAt: start0, finishedAt };
      await trx
        .insertInto("jobs")
        .values({ id, queue: "timers", kind: "k", payload: "{}", state, maxAttempts: 1, ...times })
        .execute();
      await trx
        .insertInto("job_attempts")
        .values({ jobId: id, attempt: 1, startedAt: start0, outcome: "retrying", worker: "w" })
        .execute();
    }
  });
  const left = () => [
    rowsOf<{ id: string }>(prism, "select id from jobs order by seq").map(({ id }) => id),
    countOf(prism, "job_attempts"),
  ];
  clock.advance(7 * DAY - 1);
  await sweep();
  assert.equal(countOf(prism, "jobs"), 5);
  clock.advance(1);
  await sweep();
  assert.deepEqual(left(), [["later", "dead", "waiting"], 3]);
  clock.advance(23 * DAY);
  await sweep();
  assert.deepEqual(left(), [["waiting"], 1]);
});

test("failures go thirty days after they were resolved, keys and tokens ninety days after they were revoked", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db } = prism.parts.base;
  const project = await makeProject(prism);
  const uma = await makeUser(prism, "uma");
  const now = clock.now();
  await db.write(async (trx) => {
    for (const [eventSeq, resolvedAt] of [
      [1, null],
      [2, now],
    ] as const)
      await trx
        .insertInto("event_failures")
        .values({ consumer: "rule-engine", eventSeq, attempts: 1, createdAt: now, resolvedAt })
        .execute();
    for (const [id, revokedAt] of [
      ["kept", null],
      ["gone", now],
    ] as const) {
      const row = { id, name: id, hash: id, prefix: id, scopes: "[]", createdAt: now, revokedAt };
      await trx
        .insertInto("api_keys")
        .values({ ...row, projectId: project.id })
        .execute();
      await trx
        .insertInto("service_tokens")
        .values({ ...row, userId: uma.id, expiresAt: null, lastUsedAt: null })
        .execute();
    }
  });
  clock.advance(30 * DAY);
  await sweep();
  assert.deepEqual(rowsOf(prism, "select eventSeq from event_failures"), [{ eventSeq: 1 }]);
  assert.equal(scalarOf(prism, "select count(*) from api_keys where id in ('kept', 'gone')"), 2);
  clock.advance(60 * DAY);
  await sweep();
  for (const sql of ["select id from api_keys where id in ('kept', 'gone')", "select id from service_tokens"])
    assert.deepEqual(rowsOf(prism, sql), [{ id: "kept" }]);
});

test("stream entries go after a week, and gaps between the notifications that are kept say so", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db } = prism.parts.base;
  const { notify, realtime } = prism.parts.offers;
  const uma = await makeUser(prism, "uma");
  const stream = { kind: "user", userId: uma.id } as const;
  const say = () => db.write((trx) => realtime.publish(stream, "unread-count", { count: 1 }, { trx }));
  const tell = () => notify.send({ recipients: [uma.id], title: "t", message: "m" });
  for (const step of [say, say, tell, say, tell]) await step();
  clock.advance(DAY);
  await say();
  const [a, b, c] = rowsOf<{ seq: number }>(prism, "select seq from stream_log order by seq").map(({ seq }) => seq);
  const [n1, n2] = rowsOf<{ seq: number }>(prism, "select seq from notification_recipients order by seq").map(
    ({ seq }) => seq,
  );
  assert.ok(a && b && c && n1 && n2);
  const gaps = () =>
    rowsOf<{ fromSeq: number; toSeq: number }>(
      prism,
      "select fromSeq, toSeq from stream_gaps where stream = ? order by fromSeq",
      `user:${uma.id}`,
    ).map(({ fromSeq, toSeq }) => [fromSeq, toSeq]);
  clock.advance(6 * DAY);
  await sweep();
  assert.equal(countOf(prism, "stream_log"), 1);
  assert.deepEqual(gaps(), [
    [0, b],
    [n1, c],
  ]);
  clock.advance(DAY);
  const last = scalarOf<number>(prism, "select max(seq) from stream_log");
  await sweep();
  assert.deepEqual(gaps(), [
    [0, b],
    [n1, c],
    [n2, last],
  ]);
  assert.equal(countOf(prism, "notification_recipients"), 2);
});

test("a gap grows without a look at the notifications before it that were deleted, until they are removed", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { notify } = prism.parts.offers;
  const uma = await makeUser(prism, "uma");
  const tell = () => notify.send({ recipients: [uma.id], title: "t", message: "m" });
  const stream = `user:${uma.id}`;
  const lastLogged = () => scalarOf<number>(prism, "select max(seq) from stream_log where stream = ?", stream);
  const gaps = () =>
    rowsOf<{ fromSeq: number; toSeq: number }>(
      prism,
      "select fromSeq, toSeq from stream_gaps where stream = ? order by fromSeq",
      stream,
    ).map(({ fromSeq, toSeq }) => [fromSeq, toSeq]);
  const deleteNewest = async () => {
    const { token } = await prism.parts.offers.accessTokens.issue(uma.id);
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/notifications", { token });
    assert.equal((await prism.delete(`/api/v1/notifications/${body.data[0]?.id}`, { token })).status, 204);
  };
  await tell();
  const first = scalarOf<number>(prism, "select seq from notification_recipients");
  await tell();
  await deleteNewest();
  const before = lastLogged();
  clock.advance(7 * DAY);
  await sweep();
  assert.deepEqual(gaps(), [[first, before]]);
  await deleteNewest();
  const last = lastLogged();
  clock.advance(7 * DAY);
  await sweep();
  assert.deepEqual([countOf(prism, "notification_recipients"), gaps()], [2, [[first, last]]]);
  clock.advance(90 * DAY);
  await sweep();
  assert.deepEqual([countOf(prism, "notification_recipients"), gaps()], [0, [[0, last]]]);
});

test("what was triggered on a channel of Pusher's goes after a week without a note: clients do not resume there, and names are unlimited", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { realtime } = prism.parts.offers;
  await realtime.publish({ kind: "pusher", channel: "news" }, "e", "x");
  await realtime.publish("channel:news", "e", "x");
  clock.advance(7 * DAY);
  await sweep();
  assert.equal(countOf(prism, "stream_log"), 0);
  assert.deepEqual(rowsOf(prism, "select stream from stream_gaps"), [{ stream: "channel:news" }]);
});

test("no stream keeps more than ten thousand entries; what goes is one gap", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db } = prism.parts.base;
  const entry = { type: "t", data: "{}", correlationId: "c", createdAt: clock.now() };
  for (let at = 0; at < 11_500; at += 500) {
    await db.write((trx) =>
      trx
        .insertInto("stream_log")
        .values(Array.from({ length: 500 }, () => ({ ...entry, seq: db.nextOffset(trx), stream: "channel:long" })))
        .execute(),
    );
  }
  await db.write((trx) =>
    trx
      .insertInto("stream_log")
      .values({ ...entry, seq: db.nextOffset(trx), stream: "channel:short" })
      .execute(),
  );
  const first = scalarOf<number>(prism, "select min(seq) from stream_log") ?? 0;
  await sweep();
  assert.deepEqual(rowsOf(prism, "select stream, count(*) as n from stream_log group by stream"), [
    { stream: "channel:long", n: 10_000 },
    { stream: "channel:short", n: 1 },
  ]);
  assert.deepEqual(rowsOf(prism, "select * from stream_gaps"), [
    { stream: "channel:long", fromSeq: 0, toSeq: first + 1499 },
  ]);
});

test("a table that cannot be swept does not keep the others, and a stop ends the sweep", async (t) => {
  const { prism, clock } = await start(t);
  const log = new LogLines();
  const done: string[] = [];
  const stop = new AbortController();
  const sweeps = [
    {
      name: "first",
      sweep: async () => {
        throw new Error("no");
      },
    },
    { name: "second", sweep: async () => done.push("second") + 2 },
    { name: "third", sweep: async () => done.push("third") },
  ];
  const sweepThem = (signal?: AbortSignal) =>
    sweepAll({ database: prism.parts.base.database, clock, log }, sweeps, signal);
  await assert.rejects(sweepThem(), /failed for first$/);
  assert.deepEqual(done, ["second", "third"]);
  const rows = log.lines.map(({ level, fields }) => [level, fields["table"]]);
  assert.deepEqual(rows, [
    ["warn", "first"],
    ["info", "second"],
    ["info", "third"],
  ]);
  stop.abort();
  assert.deepEqual(await sweepThem(stop.signal), {});
  assert.equal(done.length, 2);
});

test("retention is a job: a paused queue stops it, its rows are in the result, and it can be run now", async (t) => {
  const { prism, clock } = await start(t);
  const { retention } = prism.parts.offers;
  const put = (keys: readonly string[]) =>
    prism.parts.base.database.write((trx) =>
      trx
        .insertInto("idempotency_keys")
        .values(keys.map((key) => ({ scope: "s", key, fingerprint: "f", createdAt: 0, expiresAt: clock.now() - 1 })))
        .execute(),
    );
  const jobs = () =>
    rowsOf<{ state: string; result: string | null }>(
      prism,
      "select state, result from jobs where queue = 'retention' order by seq",
    );
  await put(["a", "b"]);
  await prism.post("/api/v1/queues/retention/pause");
  await retention.begin();
  await retention.begin();
  assert.deepEqual(jobs(), [{ state: "ready", result: null }], "one job waits, however often the server starts");
  assert.equal(countOf(prism, "idempotency_keys"), 2);
  await prism.post("/api/v1/queues/retention/resume");
  await eventually("it has run", () => jobs()[0]?.state === "succeeded");
  assert.deepEqual(JSON.parse(jobs()[0]?.result ?? ""), { idempotency_keys: 2 });

  await put(["c"]);
  const { body } = await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/schedules");
  const schedule = body.data.find(({ name }) => name === "prism:retention");
  assert.equal((await prism.post(`/api/v1/schedules/${schedule?.id}/run`)).status, 201);
  await eventually("it has run again", () => jobs()[1]?.state === "succeeded");
  assert.equal(countOf(prism, "idempotency_keys"), 0);
});
