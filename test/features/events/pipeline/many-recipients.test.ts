import assert from "node:assert/strict";
import test from "node:test";
import WebSocket from "ws";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

/** Users with the role Auditor, created in bulk. */
async function addAuditors(prism: TestPrism, count: number): Promise<void> {
  const roleId = scalarOf<string>(prism, "select id from roles where name = 'Auditor'") ?? "";
  const now = Date.now();
  const ids = Array.from({ length: count }, () => uuidv7());
  await prism.parts.base.database.write(async (trx) => {
    for (let at = 0; at < ids.length; at += 500) {
      const part = ids.slice(at, at + 500);
      const users = part.map((id) => ({ id, username: id, status: "active" as const, createdAt: now, updatedAt: now }));
      await trx.insertInto("users").values(users).execute();
      await trx
        .insertInto("user_roles")
        .values(part.map((userId) => ({ userId, roleId, createdAt: now })))
        .execute();
    }
  });
  prism.rightsChanged();
}

const RULE = { name: "r", condition: "event.type == 'x'", targetRoles: ["Auditor"], targetUsers: ["me"] };
const isDone = (prism: TestPrism) => scalarOf(prism, "select count(*) from jobs where state <> 'succeeded'") === 0;

test("a rule that reaches 200 users writes them with the event, one that reaches 201 by a job", async (t) => {
  const prism = await startPrism(t);
  await addAuditors(prism, 199);
  await prism.post("/api/v1/rules", RULE);
  await prism.post("/api/v1/events", { type: "x" });
  assert.deepEqual([countOf(prism, "notification_recipients"), countOf(prism, "jobs")], [200, 0]);
  await addAuditors(prism, 1);
  await prism.post("/api/v1/events", { type: "x" });
  assert.deepEqual(
    [countOf(prism, "notifications"), countOf(prism, "jobs")],
    [2, 1],
    "its notification is there at once",
  );
  await eventually("the job has written them", () => isDone(prism));
  assert.equal(countOf(prism, "notification_recipients"), 401);
  assert.deepEqual(rowsOf(prism, "select fired, matched from rule_stats"), [{ fired: 2, matched: 2 }]);
});

test("recipients of a job get it live, at increasing offsets", async (t) => {
  const prism = await startPrism(t);
  await addAuditors(prism, 300);
  await prism.post("/api/v1/rules", RULE);
  const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
  const heard: { op: string; data?: { title: string } }[] = [];
  socket.on("message", (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { op: string };
    if (message.op === "welcome") socket.send('{"op":"subscribe","id":"1","stream":"user:me"}');
    if (message.op === "subscribed") void prism.post("/api/v1/events", { type: "x" });
    if (message.op === "event") heard.push(message);
  });
  await eventually("the notification comes live", () => heard.length === 1);
  socket.close();
  assert.equal(heard[0]?.data?.title, "X");
  const offsets = rowsOf<{ userId: string }>(prism, "select userId from notification_recipients order by seq");
  const ids = offsets.map(({ userId }) => userId);
  assert.deepEqual(ids, ids.toSorted());
});

for (const { how, cut } of [
  { how: "a stop", cut: false },
  { how: "a crash", cut: true },
]) {
  test(`a job that ${how} interrupted continues after the stored recipients, and notifies each once`, async (t) => {
    const first = await startPrism(t);
    await addAuditors(first, 3000);
    await first.post("/api/v1/rules", RULE);
    await first.post("/api/v1/events", { type: "x" });
    await eventually("some recipients are written", () => countOf(first, "notification_recipients") > 0);
    const image = cut ? await crashImage(t, first) : null;
    if (!image) await first.restart();
    const prism = image ? await startPrism(t, { dir: image }) : first;
    await eventually("the job has ended", () => isDone(prism));
    assert.equal(countOf(prism, "notification_recipients"), 3001);
    assert.equal(scalarOf(prism, "select count(distinct userId) from notification_recipients"), 3001);
  });
}

test("a notification whose recipients come in slices counts as delivered once, when the last of them has been notified", async (t) => {
  const prism = await startPrism(t);
  const { database: db, store } = prism.parts.base;
  const { notify } = prism.parts.offers;
  await addAuditors(prism, 1200);
  await prism.post("/api/v1/rules", RULE);
  const { committer } = store;
  const markAll = (): void => {
    const open = rowsOf<{ userId: string; seq: number }>(
      prism,
      "select userId, seq from notification_recipients where delivered = 0 order by seq",
    );
    for (const { userId, seq } of open) committer.markDelivered({ userId, seq, at: Date.now() });
  };
  // Recipients are notified as soon as they are written, so that none is pending when the next
  // slice starts.
  const add = notify.addRecipients.bind(notify);
  const seen: unknown[] = [];
  notify.addRecipients = async (notification, userIds, trx) => {
    seen.push(scalarOf(prism, "select delivered from notifications where id = ?", notification.id));
    await add(notification, userIds, trx);
  };
  let isMarking = true;
  prism.parts.offers.announcer.onNotifications(() => isMarking && markAll());
  const isDelivered = () => scalarOf(prism, "select count(*) from notifications where delivered = 0") === 0;
  const audits = () =>
    rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'notification.delivered'").map(
      ({ metadata }) => JSON.parse(metadata) as { recipients: number },
    );
  await prism.post("/api/v1/events", { type: "x" });
  await eventually("all have been told", isDelivered);
  assert.deepEqual(valuesOf(audits(), "recipients"), [1201]);
  assert.deepEqual(seen, [0, 0, 0]);
  // Also if the last one is notified after the job's end.
  notify.addRecipients = add;
  isMarking = false;
  await prism.post("/api/v1/events", { type: "x" });
  await eventually("the job has ended", () => isDone(prism));
  await committer.settled();
  const last = rowsOf<{ userId: string; seq: number }>(
    prism,
    "select userId, seq from notification_recipients where delivered = 0 order by userId limit 1",
  )[0] ?? { userId: "", seq: 0 };
  await db.write((trx) =>
    trx.updateTable("notification_recipients").set({ delivered: 1 }).where("userId", "<>", last.userId).execute(),
  );
  assert.equal(isDelivered(), false);
  committer.markDelivered({ ...last, at: Date.now() });
  await eventually("it counts as delivered", isDelivered);
  assert.equal(audits().length, 2);
});
