import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { silentLogger } from "../../../../src/core/log.ts";
import { notificationSweep } from "../../../../src/features/notifications/retention.ts";
import { sweepAll } from "../../../../src/store/retention.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "../../events/pipeline/support/all-decided.ts";

const DAY = 86_400_000;

async function start(t: TestContext, settings: Record<string, string> = {}) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.enabled": "false", ...settings } });
  const { database } = prism.parts.base;
  const sweep = (): Promise<unknown> => sweepAll({ database, clock, log: silentLogger }, prism.parts.offers.sweeps());
  return { prism, clock, sweep };
}

async function send(prism: TestPrism, apiKey: string, ...types: readonly string[]): Promise<void> {
  const events = types.map((type) => ({ type }));
  await answered(202, prism.post("/api/v1/events", events, { apiKey }));
}

const typesOf = (prism: TestPrism): string[] =>
  rowsOf<{ type: string }>(prism, "select type from events order by seq").map(({ type }) => type);

test("S1-11 S1-21 events go when their thirty days are over, with their decisions, and the project's stream says so", async (t) => {
  keepsPromise(t, "S1-11");
  const { prism, clock, sweep } = await start(t);
  const { id, apiKey } = await makeProject(prism);
  const rule = { name: "r", condition: "true", targetUsers: ["me"], projectId: id };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await send(prism, apiKey, "a", "b", "c");
  clock.advance(DAY);
  await send(prism, apiKey, "d");
  clock.advance(29 * DAY - 1);
  await sweep();
  assert.deepEqual(typesOf(prism), ["a", "b", "c", "d"]);
  const last = scalarOf<number>(prism, "select seq from events where type = 'c'");
  clock.advance(1);
  await sweep();
  assert.deepEqual([typesOf(prism), countOf(prism, "decisions")], [["d"], 1]);
  const gaps = rowsOf<{ fromSeq: number; toSeq: number }>(
    prism,
    "select fromSeq, toSeq from stream_gaps where stream = ?",
    `project:${id}`,
  );
  assert.deepEqual([gaps.length, gaps[0]?.toSeq], [1, last]);
});

test("an event that was never decided stays, and so does one whose failure is open", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { apiKey } = await makeProject(prism);
  await send(prism, apiKey, "undecided", "failed", "resolved", "plain");
  const { database: db } = prism.parts.base;
  const seqOf = (type: string) => scalarOf<number>(prism, "select seq from events where type = ?", type) ?? 0;
  const failure = { consumer: "rule-engine", attempts: 8, createdAt: clock.now() };
  await db.write(async (trx) => {
    await trx.updateTable("events").set({ processedAt: null }).where("type", "=", "undecided").execute();
    await trx
      .insertInto("event_failures")
      .values([
        { ...failure, eventSeq: seqOf("failed"), resolvedAt: null },
        { ...failure, eventSeq: seqOf("resolved"), resolvedAt: clock.now() },
      ])
      .execute();
  });
  clock.advance(31 * DAY);
  await sweep();
  assert.deepEqual(typesOf(prism), ["undecided", "failed"]);
  await db.write(async (trx) => {
    await trx.updateTable("events").set({ processedAt: clock.now() }).execute();
    await trx.updateTable("event_failures").set({ resolvedAt: clock.now() }).execute();
  });
  await sweep();
  assert.deepEqual(typesOf(prism), []);
});

test("a project says for itself how long its events are kept, and 0 days keep everything", async (t) => {
  const { prism, clock, sweep } = await start(t, { "retention.days": "0", "retention.notificationDays": "0" });
  const short = await makeProject(prism, "short");
  const long = await makeProject(prism, "long");
  await answered(200, prism.patch(`/api/v1/projects/${short.id}`, { settings: { retentionDays: 2 } }));
  await prism.post("/api/v1/notifications", { recipients: ["me"], title: "t", message: "m" });
  await send(prism, short.apiKey, "short");
  await send(prism, long.apiKey, "long");
  clock.advance(2 * DAY);
  await sweep();
  assert.deepEqual(typesOf(prism), ["long"]);
  clock.advance(3000 * DAY);
  await sweep();
  assert.deepEqual([typesOf(prism), countOf(prism, "notifications")], [["long"], 1]);
});

test("many events go in short transactions, between which ingest continues", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { apiKey } = await makeProject(prism);
  for (let batch = 0; batch < 3; batch++)
    await send(prism, apiKey, ...Array.from({ length: 600 }, (_, i) => `old.${i}`));
  await allDecided(prism);
  clock.advance(30 * DAY);
  let isSwept = false;
  const swept = sweep().then(() => {
    isSwept = true;
  });
  let sent = 0;
  while (!isSwept) {
    await send(prism, apiKey, "new");
    sent++;
  }
  await swept;
  assert.ok(sent > 1, "events were stored while the sweep was under way");
  assert.deepEqual(typesOf(prism), Array(sent).fill("new"));
});

test("notifications are removed after ninety days, read or not, and each recipient's stream shows it", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const uma = await makeUser(prism, "uma");
  const send1 = (title: string) => prism.post("/api/v1/notifications", { recipients: ["uma"], title, message: "m" });
  await send1("old");
  const { database: db } = prism.parts.base;
  const many = scalarOf<string>(prism, "select id from notifications") ?? "";
  await db.write((trx) =>
    trx
      .insertInto("notification_recipients")
      .values(
        Array.from({ length: 250 }, (_, i) => ({ notificationId: many, userId: `user-${i}`, seq: db.nextOffset(trx) })),
      )
      .execute(),
  );
  await db.write((trx) =>
    trx
      .insertInto("deliveries")
      .values({
        id: "d",
        notificationId: many,
        userId: uma.id,
        channel: "fcm",
        state: "dead",
        reason: null,
        providerId: null,
        lastError: null,
        jobId: null,
        deliveredAt: null,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      })
      .execute(),
  );
  clock.advance(DAY);
  prism.adminToken = (await prism.parts.offers.accessTokens.issue(prism.parts.offers.devUserId ?? "")).token;
  assert.equal((await send1("new")).status, 201);
  clock.advance(89 * DAY - 1);
  await sweep();
  assert.equal(countOf(prism, "notifications"), 2);
  const seq = scalarOf<number>(prism, "select min(seq) from notification_recipients where userId = ?", uma.id);
  clock.advance(1);
  await sweep();
  assert.deepEqual(
    [
      rowsOf(prism, "select title from notifications"),
      countOf(prism, "notification_recipients"),
      countOf(prism, "deliveries"),
      scalarOf<number>(prism, "select toSeq from stream_gaps where stream = ?", `user:${uma.id}`),
      scalarOf<number>(prism, "select count(*) from stream_gaps where stream like 'user:user-%'"),
    ],
    [[{ title: "new" }], 1, 0, seq, 250],
  );
});

test("a notification with many recipients goes with their deliveries in small transactions, and with the last it goes itself", async (t) => {
  const { prism, clock } = await start(t);
  const { database: db } = prism.parts.base;
  await makeUser(prism, "uma");
  const told = { recipients: ["uma"], title: "all", message: "m" };
  await answered(201, prism.post("/api/v1/notifications", told));
  const notificationId = scalarOf<string>(prism, "select id from notifications") ?? "";
  await db.write(async (trx) => {
    const times = { createdAt: clock.now(), updatedAt: clock.now() };
    for (let i = 0; i < 59; i++) {
      const recipient = { notificationId, userId: `user-${i}` };
      await trx
        .insertInto("notification_recipients")
        .values({ ...recipient, seq: db.nextOffset(trx) })
        .execute();
      const delivery = { ...recipient, id: `d-${i}`, channel: "fcm", state: "dead", ...times } as const;
      await trx.insertInto("deliveries").values(delivery).execute();
    }
  });
  const left = () => ["notifications", "notification_recipients"].map((table) => countOf(prism, table));
  const orphans = () =>
    scalarOf<number>(
      prism,
      `select count(*) from deliveries d where not exists (
        select 1 from notification_recipients r where r.notificationId = d.notificationId and r.userId = d.userId)`,
    );
  const sweep = (isStopped: () => boolean) => notificationSweep(() => 90).sweep(db, clock.now() + 90 * DAY, isStopped);
  assert.equal(await sweep(() => countOf(prism, "notification_recipients") < 60), 0);
  assert.deepEqual([left(), orphans()], [[1, 40], 0], "the first transaction has the fewest rows");
  assert.equal(await sweep(() => false), 1);
  assert.deepEqual([left(), countOf(prism, "deliveries"), countOf(prism, "stream_gaps")], [[0, 0], 0, 60]);
});

test("remains of storms are removed: windows a day and an hour after their match, batches a week after their summary", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db } = prism.parts.base;
  const now = clock.now();
  const batch = {
    ruleId: "r",
    count: 1,
    firstSeq: 1,
    lastSeq: 1,
    samples: "[]",
    startedAt: now,
    lastAt: now,
    jobId: "j",
    noticeId: null,
  };
  await db.write(async (trx) => {
    await trx
      .insertInto("suppression_windows")
      .values([
        { ruleId: "r", key: "", bucketStart: now, count: 1 },
        { ruleId: "r", key: "", bucketStart: now + DAY, count: 1 },
      ])
      .execute();
    await trx
      .insertInto("suppressed_batches")
      .values([
        { ...batch, id: "closed", key: "a", closedAt: now },
        { ...batch, id: "open", key: "b", closedAt: null },
      ])
      .execute();
    const keys = ["closed", "open"].map((batchId) => ({ batchId, key: "host" }));
    await trx.insertInto("suppressed_keys").values(keys).execute();
  });
  clock.advance(DAY + 3_600_000);
  await sweep();
  assert.deepEqual([countOf(prism, "suppression_windows"), countOf(prism, "suppressed_batches")], [1, 2]);
  clock.advance(6 * DAY);
  await sweep();
  assert.deepEqual(rowsOf(prism, "select id from suppressed_batches"), [{ id: "open" }]);
  assert.deepEqual(rowsOf(prism, "select batchId from suppressed_keys"), [{ batchId: "open" }]);
});
