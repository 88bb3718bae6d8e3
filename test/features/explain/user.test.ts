import assert from "node:assert/strict";
import test from "node:test";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";

async function explain(prism: TestPrism, path: string): Promise<ExplainView> {
  const { body } = await answered(200, prism.get<ExplainView>(`/api/v1/explain/${path}`));
  return body;
}

async function made(reply: Promise<{ status: number; text: string; body: { id: string } }>): Promise<string> {
  const { status, text, body } = await reply;
  assert.ok(status < 300, text);
  return body.id;
}

test("explain returns why a user was not notified", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const shop = await makeProject(prism);
  const [told, roleless, stranger, disabled, late] = await Promise.all(
    ["told", "roleless", "stranger", "disabled", "late"].map((name) =>
      makeUser(prism, name, name === "roleless" || name === "late" ? [] : ["Auditor"]),
    ),
  );
  assert.ok(told && roleless && stranger && disabled && late);
  for (const { id } of [told, roleless, disabled, late])
    assert.ok((await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: id, role: "viewer" })).status < 300);
  await made(
    prism.post("/api/v1/rules", {
      name: "audit",
      condition: "event.amount > 100",
      targetRoles: ["Auditor"],
      channels: ["in_app", "fcm"],
      projectId: shop.id,
    }),
  );
  await made(prism.patch(`/api/v1/users/${disabled.id}`, { status: "disabled" }));
  const high = await made(prism.post("/events", { type: "a", projectId: shop.id, payload: { amount: 500 } }));
  const low = await made(prism.post("/events", { type: "a", projectId: shop.id, payload: { amount: 5 } }));
  clock.advance(60_000);
  await made(prism.patch(`/api/v1/users/${late.id}`, { roles: ["Auditor"] }));

  for (const [name, { id }, event, isTold, reason] of [
    ["told", told, high, true, /^notified: waits in the inbox, not delivered yet$/],
    ["role not held", roleless, high, false, /^holds none of its roles \(Auditor\) and is not named by it$/],
    ["not a member", stranger, high, false, /^is not a member of the rule's project$/],
    ["account disabled", disabled, high, false, /^the account is disabled$/],
    ["role granted later", late, high, false, /^holds Auditor only since \d{4}-/],
    ["condition false", told, low, false, /^the condition was false: event\.amount was 5$/],
    [
      "condition false, and no role",
      roleless,
      low,
      false,
      /amount was 5; and the user would not have been notified: holds none/,
    ],
  ] as const)
    await t.test(name, async () => {
      const { user, rules } = await explain(prism, `event/${event}?userId=${id}`);
      assert.deepEqual([user?.id, user?.told], [id, isTold]);
      assert.match(rules[0]?.user?.reason ?? "", reason);
    });

  await t.test(
    "an event that no rule of the project takes says who is not a member, and the right that is missing",
    async () => {
      const bare = await makeProject(prism, "bare");
      const id = await made(prism.post("/events", { type: "a", projectId: bare.id }));
      const { user, answer } = await explain(prism, `event/${id}?userId=${stranger.id}`);
      assert.deepEqual(user?.reasons, ["is not a member of the project"]);
      assert.match(answer, /^stranger was not notified \(is not a member of the project\)/);
      const asked = await answered(403, prism.get(`/api/v1/explain/event/${high}`, { token: roleless.token }));
      assert.match(
        asked.text,
        /notifications:read_all; the event did not notify you; a user with that permission can explain/,
      );
    },
  );

  await t.test("the answer is about the rule that could have notified the user", async () => {
    await made(
      prism.post("/api/v1/rules", { name: "mine", condition: "event.amount > 9", targetUsers: ["me"], priority: 9 }),
    );
    const id = await made(prism.post("/events", { type: "a", projectId: shop.id, payload: { amount: 6 } }));
    const { answer } = await explain(prism, `event/${id}?userId=told`);
    assert.equal(answer, "told was not notified (audit: the condition was false: event.amount was 6).");
  });

  await t.test("of several rules that could have notified the user no single one is the reason", async () => {
    const condition = "event.amount == 7 or event.amount == 8";
    await made(prism.post("/api/v1/rules", { name: "two", condition, targetUsers: ["told"], projectId: shop.id }));
    const id = await made(prism.post("/events", { type: "a", projectId: shop.id, payload: { amount: 6 } }));
    const { answer, user } = await explain(prism, `event/${id}?userId=told`);
    assert.equal(answer, "told was not notified: none of the 3 rules matched it.");
    assert.ok(user?.reasons.includes("two: the condition was false: event.amount was 6"), user?.reasons.join());
  });

  await t.test("a channel without a delivery gives the reason", async () => {
    const { user } = await explain(prism, `event/${high}?userId=told`);
    assert.ok(user?.reasons.includes("audit: fcm: the user has no such device"), user?.reasons.join());
  });

  await t.test("deliveries are shown with their reason and the attempts that failed", async () => {
    const [notification] = (await explain(prism, `event/${high}`)).notifications;
    assert.ok(notification);
    const { db } = prism.services;
    await db.write(async (trx) => {
      const at = clock.now();
      await trx
        .insertInto("deliveries")
        .values({
          id: "0198c0de-0000-7000-8000-00000000000d",
          notificationId: notification.id,
          userId: told.id,
          channel: "fcm",
          target: "secret-device-token",
          state: "dead",
          attempts: 1,
          reason: "UNREGISTERED",
          jobId: "job-1",
          createdAt: at,
          updatedAt: at,
        })
        .execute();
      await trx
        .insertInto("job_attempts")
        .values({
          jobId: "job-1",
          attempt: 1,
          startedAt: at,
          endedAt: at,
          outcome: "failed",
          error: "404",
          worker: "w",
        })
        .execute();
    });
    const view = await explain(prism, `notification/${notification.id}?userId=${told.id}`);
    const mine = view.notifications[0]?.recipients.find(({ userId }) => userId === told.id);
    assert.deepEqual(
      mine?.deliveries.map(({ channel, state, reason, history }) => [channel, state, reason, history[0]?.error]),
      [["fcm", "dead", "UNREGISTERED", "404"]],
    );
    assert.ok(view.user?.reasons.includes("audit: fcm is dead: UNREGISTERED"), view.user?.reasons.join());
    await db.write((trx) => trx.updateTable("deliveries").set({ state: "failed" }).execute());
    const failed = await explain(prism, `notification/${notification.id}?userId=${told.id}`);
    assert.ok(failed.user?.reasons.includes("audit: fcm failed: UNREGISTERED"), failed.user?.reasons.join());
    assert.deepEqual(view.notifications[0]?.channels, [
      { channel: "fcm", state: "dead", reason: "UNREGISTERED", count: 1 },
    ]);
    assert.equal(JSON.stringify(view).includes("secret-device-token"), false);
  });
});

test("a notification leads back to its event and rule; one that was sent directly has neither", async (t) => {
  const prism = await startPrism(t);
  const anna = await makeUser(prism, "anna");
  const ruleId = await made(
    prism.post("/api/v1/rules", { name: "r", condition: "event.n == 1", targetUsers: ["me", "anna"] }),
  );
  const eventId = await made(prism.post("/events", { type: "a", payload: { n: 1 } }));
  const id = (await explain(prism, `event/${eventId}`)).notifications[0]?.id ?? "";
  await prism.patch(`/api/v1/notifications/${id}/read`, undefined, anna);
  await prism.put(`/api/v1/notifications/${id}/acknowledge`, {}, anna);
  const view = await explain(prism, `notification/${id}?userId=anna`);
  assert.deepEqual([view.event?.id, view.rules[0]?.ruleId, view.rules[0]?.outcome], [eventId, ruleId, "fired"]);
  assert.equal(view.rules[0]?.user?.reach, "is named in the rule");
  const own = await prism.get<ExplainView>(`/api/v1/explain/notification/${id}`, anna);
  assert.equal(own.body.rules[0]?.targets, null, "not for recipients");
  assert.deepEqual(view.notifications[0]?.counts, { recipients: 2, delivered: 0, read: 1, acknowledged: 1 });
  assert.match(view.answer, /^anna was notified \(r: notified: acknowledged at /);

  const direct = await made(prism.post("/api/v1/notifications", { userId: "anna", title: "hello", message: "m" }));
  const plain = await explain(prism, `notification/${direct}`);
  assert.deepEqual([plain.event, plain.rules], [null, []]);
  assert.match(plain.answer, /^It is of the kind direct, and it went to 1 person: 0 reached live/);
  const mine = await prism.get<ExplainView>(`/api/v1/explain/notification/${direct}`, anna);
  assert.deepEqual([mine.status, mine.body.scope, mine.body.user?.told], [200, "own", true]);
  assert.equal((await explain(prism, `notification/${direct}?userId=me`)).user?.told, false);
});

test("of a notification to many the first recipients are shown, the user who is asked about, and the number of all", async (t) => {
  const prism = await startPrism(t);
  const recipients = Array.from({ length: 80 }, (_, n) => `user-${n}`);
  const id = await made(prism.post("/api/v1/notifications", { recipients, title: "t", message: "m" }));
  const [notification] = (await explain(prism, `notification/${id}`)).notifications;
  assert.deepEqual([notification?.recipients.length, notification?.recipientsLeftOut], [50, 30]);
  assert.equal(notification?.counts.recipients, 80);
  const asked = await explain(prism, `notification/${id}?userId=user-79`);
  assert.deepEqual([asked.user?.told, asked.notifications[0]?.recipients.length], [true, 51]);
});
