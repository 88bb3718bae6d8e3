import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { usageMarks } from "../../../src/features/access/authenticate/principals.ts";
import { createServiceToken } from "../../../src/features/access/users/create-user.ts";
import { DeliveryMarks } from "../../../src/features/notifications/announcer.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { openBeside } from "../../helpers/store.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";

test("the last use of keys and tokens is written once a minute for all of them, and at the stop", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { parts } = prism;
  const shop = await makeProject(prism);
  const { token } = await parts.base.database.write((trx) =>
    createServiceToken(parts.base, { userId: parts.offers.devUserId ?? "", name: "t" }, trx),
  );
  const used = () => [
    scalarOf(prism, "select lastUsedAt from api_keys"),
    scalarOf(prism, "select lastUsedAt from service_tokens"),
  ];
  const useBoth = async (): Promise<void> => {
    await prism.get("/events", { apiKey: shop.apiKey });
    await prism.get("/api/v1/users/me", { token });
  };
  const first = clock.now();
  await useBoth();
  assert.deepEqual(used(), [null, null], "not with the request: reads do not wait for the disk");
  t.mock.timers.tick(60_000);
  await eventually("both are marked", () => used().every((at) => at === first));
  // A use is recorded when the cached credential has expired.
  const { ttlMs } = parts.base.config.cache;
  clock.advance(ttlMs);
  await useBoth();
  assert.deepEqual(used(), [first, first]);
  await prism.restart();
  assert.deepEqual(used(), [first + ttlMs, first + ttlMs]);
});

test("marks that cannot be written are no failure of anything", async (t) => {
  const prism = await startPrism(t);
  const { database: db } = prism.parts.base;
  const { principals } = prism.parts.offers;
  const shop = await makeProject(prism);
  await prism.get("/events", { apiKey: shop.apiKey });
  openBeside(t, join(prism.dir, "prism.db")).exec(
    "create trigger refuse before update on api_keys begin select raise(abort, 'no'); end",
  );
  await usageMarks(db, principals).stop();
  assert.equal((await prism.get("/events", { apiKey: shop.apiKey })).status, 200);
});

const undelivered = (prism: TestPrism, userId: string): number[] =>
  rowsOf<{ seq: number }>(
    prism,
    "select seq from notification_recipients where userId = ? and delivered = 0 order by seq",
    userId,
  ).map(({ seq }) => seq);

test("S2-66 what a client has handled up to an offset is delivered, its own rows only, however many there are", async (t) => {
  keepsPromise(t, "S2-66");
  const prism = await startPrism(t);
  const { database: db, clock, store } = prism.parts.base;
  const { notify } = prism.parts.offers;
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  for (let n = 0; n < 5; n++) await notify.send({ recipients: ["uma", "vic"], title: `${n}`, message: "m" });
  const [first, second, third] = undelivered(prism, uma.id) as [number, number, number];
  const marks = new DeliveryMarks(db, store.committer, clock);
  await marks.upTo(uma.id, second);
  await store.committer.settled();
  assert.equal(undelivered(prism, uma.id)[0], third);
  assert.equal(undelivered(prism, vic.id).length, 5);
  await marks.upTo(uma.id, first);
  marks.one(vic.id, undelivered(prism, vic.id)[0] ?? 0);
  await store.committer.settled();
  assert.equal(undelivered(prism, vic.id).length, 4);
  assert.deepEqual(
    rowsOf(prism, "select title, delivered from notifications order by title"),
    [1, 0, 0, 0, 0].map((delivered, n) => ({ title: `${n}`, delivered })),
    "a notification is delivered when all its recipients are",
  );
});

test("a notification has not reached all recipients while a job still writes them", async (t) => {
  const prism = await startPrism(t);
  const { notify } = prism.parts.offers;
  const { clock, store } = prism.parts.base;
  const { jobs } = prism.parts.offers;
  const { devUserId } = prism.parts.offers;
  const userId = devUserId ?? "";
  const { id } = await notify.send({ recipients: [userId], title: "t", message: "m" });
  await jobs.enqueue({
    queue: "notification-delivery",
    kind: "notification.recipients",
    payload: {},
    runAt: clock.now() + 3_600_000,
    dedupeKey: `recipients:${id}`,
  });
  store.committer.markDelivered({ userId, seq: undelivered(prism, userId)[0] ?? 0, at: clock.now() });
  await store.committer.settled();
  assert.deepEqual(undelivered(prism, userId), [], "its recipients so far have been told");
  assert.equal(scalarOf(prism, "select delivered from notifications where id = ?", id), 0);
  assert.equal(scalarOf(prism, "select count(*) from audit_log where action = 'notification.delivered'"), 0);
});
