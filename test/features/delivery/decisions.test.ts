import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { DAY_MS } from "../../../src/core/time/clock.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { answered } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { FcmServer } from "./support/fcm-server.ts";
import { mailPeer } from "./support/mail-peer.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A server that sends mail and push. */
async function open(t: TestContext, settings: Record<string, string> = {}) {
  const peer = await mailPeer(t);
  const fcm = await FcmServer.start(t);
  const { credentials, endpoint = "", tokenEndpoint = "" } = fcm.options;
  const world = await DeliveryWorld.open(t, {
    // From midnight on {@link passTo} takes the same time whenever the test is run, and no token
    // ends on the way.
    clock: new FakeClock(Math.ceil(Date.now() / DAY_MS) * DAY_MS),
    settings: {
      ...peer.settings,
      "fcm.credentials": credentials,
      "fcm.endpoint": endpoint,
      "fcm.tokenEndpoint": tokenEndpoint,
      ...settings,
    },
  });
  const phone = async ({ token }: { token: string }, fcmToken: string): Promise<void> => {
    await answered(200, world.prism.put("/api/v1/users/me/push-tokens", { fcm: fcmToken }, { token }));
  };
  return { world, peer, fcm, phone };
}

/** Advances the server's clock to a time of day, UTC. */
function passTo(world: DeliveryWorld, hour: number, minute = 0): void {
  const now = new Date(world.clock.now());
  const then = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), hour, minute);
  world.pass(then > world.clock.now() ? then - world.clock.now() : then + 24 * HOUR - world.clock.now());
}

function isRead(prism: TestPrism, notificationId: string): boolean {
  return (
    scalarOf(prism, "select delivered from notification_recipients where notificationId = ?", notificationId) === 1
  );
}

test("S2-65 S2-69 who has no live connection gets the push at once", async (t) => {
  keepsPromise(t, ["S2-34", "S2-65", "S2-69"]);
  const { world, fcm, phone } = await open(t);
  const ann = await world.person("ann");
  await phone(ann, "token-of-ann");
  const id = await world.notify([ann.id], ["in_app", "fcm"]);
  await world.until(id, "delivered");
  const tokens = fcm.requests.map(({ message }) => message.token);
  assert.deepEqual(tokens, ["token-of-ann"]);
});

test("S2-34 push waits for those who are connected, and is not sent when they have it live", async (t) => {
  keepsPromise(t, "S2-34");
  const { world, fcm, phone } = await open(t);
  const ann = await world.person("ann");
  await phone(ann, "token-of-ann");
  const client = await WebSocketClient.welcomed(t, world.prism.wsUrl, ann.token);
  await client.ask({ op: "subscribe", id: "s", stream: "user:me" });
  const id = await world.notify([ann.id], ["in_app", "fcm"]);
  const waiting = await world.untilHeld(id, "connected");
  assert.equal(world.dueAt(waiting.id), world.clock.now() + 10_000);
  await eventually("it arrived", () => isRead(world.prism, id));
  await world.passToAttempt(waiting.id);
  const skipped = await world.only(id, "skipped");
  assert.equal(skipped.reason, "delivered live");
  assert.equal(fcm.requests.length, 0);
  assert.deepEqual(world.audit(id, "fcm"), []);
});

test("S2-34 a client that promises to acknowledge and stays silent gets the push all the same", async (t) => {
  keepsPromise(t, "S2-34");
  const { world, fcm, phone } = await open(t, { "delivery.ackTimeoutMs": "3000" });
  const ann = await world.person("ann");
  await phone(ann, "token-of-ann");
  const client = await WebSocketClient.welcomed(t, world.prism.wsUrl, ann.token);
  await client.ask({ op: "subscribe", id: "s", stream: "user:me", ack: true });
  const id = await world.notify([ann.id], ["in_app", "fcm"]);
  const waiting = await world.untilHeld(id, "connected");
  assert.equal(world.dueAt(waiting.id), world.clock.now() + 3000);
  await client.expect({ type: "notification" });
  await world.passToAttempt(waiting.id);
  await world.until(id, "delivered");
  assert.equal(fcm.requests.length, 1);
});

test("with delivery.pushAlways push goes out at once, connected or not", async (t) => {
  const { world, phone } = await open(t, { "delivery.pushAlways": "true" });
  const ann = await world.person("ann");
  await phone(ann, "token-of-ann");
  const client = await WebSocketClient.welcomed(t, world.prism.wsUrl, ann.token);
  await client.ask({ op: "subscribe", id: "s", stream: "user:me" });
  await world.until(await world.notify([ann.id], ["fcm"]), "delivered");
});

test("preferences: a channel that a user turned off is skipped, and the notification is in the list all the same", async (t) => {
  const { world, peer } = await open(t);
  const people = [
    { name: "off", prefs: { channels: { direct: ["in_app", "push"] } }, expected: ["skipped", "channel off"] },
    { name: "other", prefs: { channels: { rule: [] } }, expected: ["delivered", null] },
    { name: "low", prefs: { minPriority: 101 }, expected: ["skipped", "below minimum priority"] },
    { name: "just", prefs: { minPriority: 100 }, expected: ["delivered", null] },
  ];
  const ids = await Promise.all(people.map(async ({ name, prefs }) => (await world.person(name, prefs)).id));
  const id = await world.notify(ids, ["email"], { priority: 100 });
  await eventually("all are decided", () => {
    const states = world.deliveries(id).map(({ state }) => state);
    return states.length === 4 && states.every((state) => state === "skipped" || state === "delivered");
  });
  for (const [at, { name, expected }] of people.entries()) {
    const row = world.deliveries(id).find(({ userId }) => userId === ids[at]);
    assert.deepEqual([row?.state, row?.reason], expected, name);
  }
  assert.equal(peer.accepted.length, 2);
  assert.deepEqual(world.audit(id, "email"), [
    { action: "notification.delivered", metadata: { channel: "email", delivered: 2, failed: 0, skipped: 2 } },
  ]);
  assert.equal(scalarOf(world.prism, "select count(*) from notification_recipients where notificationId = ?", id), 4);
});

test("quiet hours hold mail and push, release them together when they end, and never hold what is urgent", async (t) => {
  const { world, peer, fcm, phone } = await open(t);
  passTo(world, 20, 30);
  // Half past ten in the evening in Berlin's summer, half past nine in its winter.
  const ann = await world.person("ann", { quietHours: { from: "21:00", to: "07:00" } }, "Europe/Berlin");
  await phone(ann, "token-of-ann");
  const [first, second] = [await world.notify([ann.id], ["email", "fcm"]), await world.notify([ann.id], ["email"])];
  await eventually("three wait", () => [first, second].flatMap((id) => world.deliveries(id)).length === 3);
  const held = [first, second].flatMap((id) => world.deliveries(id));
  assert.deepEqual(
    held.map(({ state, reason }) => [state, reason]),
    [1, 2, 3].map(() => ["queued", "quiet hours"]),
  );
  const ends = new Set(held.map(({ id }) => world.dueAt(id)));
  assert.equal(ends.size, 1);
  const [end = 0] = ends;
  const local = new Intl.DateTimeFormat("de", { timeZone: "Europe/Berlin", timeStyle: "short" }).format(end);
  assert.equal(local, "07:00");
  const urgent = await world.notify([ann.id], ["email"], { priority: 500, title: "Fire" });
  await world.until(urgent, "delivered");
  assert.equal(peer.accepted.length, 1);
  world.pass(end - world.clock.now());
  await world.until(first, "delivered", 2);
  await world.until(second, "delivered");
  assert.deepEqual([peer.accepted.length, fcm.requests.length], [3, 1]);
});

test("an attempt that comes again at night waits for the morning", async (t) => {
  const { world, peer } = await open(t);
  passTo(world, 21, 59);
  const ann = await world.person("ann", { quietHours: { from: "22:00", to: "06:00" } });
  peer.answer("later");
  const id = await world.notify([ann.id], ["email"]);
  const failed = await world.only(id, "failed");
  await world.passToAttempt(failed.id);
  const held = await world.untilHeld(id, "quiet hours");
  assert.deepEqual([held.attempts, peer.accepted.length], [1, 0]);
  await world.passToAttempt(held.id);
  const { attempts } = await world.only(id, "delivered");
  assert.equal(attempts, 2);
});

test("nothing is sent any more to whom it does not reach by then", async (t) => {
  const { world, peer } = await open(t);
  passTo(world, 1);
  const quiet = { quietHours: { from: "00:00", to: "06:00" } };
  const [ann, ben, cem] = [
    await world.person("ann", quiet),
    await world.person("ben", quiet),
    await world.person("cem", quiet),
  ];
  const id = await world.notify([ann.id, ben.id, cem.id], ["email"]);
  await eventually(
    "all wait",
    () => world.deliveries(id).filter(({ reason }) => reason === "quiet hours").length === 3,
  );
  await answered(204, world.prism.delete(`/api/v1/notifications/${id}`, { token: ann.token }));
  await world.prism.patch(`/api/v1/users/${ben.id}`, { status: "disabled" });
  const [held] = world.deliveries(id);
  await world.passToAttempt(held?.id ?? "");
  await eventually("none waits", () => world.deliveries(id).every(({ state }) => state !== "queued"));
  const of = (userId: string) => {
    const row = world.deliveries(id).find((each) => each.userId === userId);
    return [row?.state, row?.reason];
  };
  assert.deepEqual(of(ann.id), ["skipped", "deleted by recipient"]);
  assert.deepEqual(of(ben.id), ["skipped", "recipient not active"]);
  await eventually("Cem has it", () => peer.accepted.length === 1);
  await eventually("the last is done", () => of(cem.id)[0] === "delivered");
});

test("an expired notification is not sent any more", async (t) => {
  const { world, peer } = await open(t);
  passTo(world, 1);
  const ann = await world.person("ann", { quietHours: { from: "00:00", to: "06:00" } });
  const id = await world.notify([ann.id], ["email"]);
  const held = await world.untilHeld(id, "quiet hours");
  await world.prism.services.db.write((trx) =>
    trx
      .updateTable("notifications")
      .set({ expiresAt: world.clock.now() + HOUR })
      .where("id", "=", id)
      .execute(),
  );
  await world.passToAttempt(held.id);
  const { reason } = await world.only(id, "skipped");
  assert.equal(reason, "expired");
  assert.equal(peer.accepted.length, 0);
});

test("a job that an operator cancels takes its delivery along, and one that is tried again brings it back", async (t) => {
  const { world, peer } = await open(t);
  passTo(world, 1);
  const ann = await world.person("ann", { quietHours: { from: "00:00", to: "06:00" } });
  const id = await world.notify([ann.id], ["email"]);
  const held = await world.untilHeld(id, "quiet hours");
  assert.equal((await world.prism.post(`/api/v1/jobs/${held.id}/cancel`)).status, 200);
  assert.equal((await world.only(id, "skipped")).reason, "cancelled");
  passTo(world, 7);
  assert.equal((await world.prism.post(`/api/v1/jobs/${held.id}/retry`)).status, 200);
  await world.until(id, "delivered");
  peer.answer("refuse");
  const other = await world.notify([ann.id], ["email"]);
  const dead = await world.only(other, "dead");
  assert.equal((await world.prism.post(`/api/v1/jobs/${dead.id}/retry`)).status, 200);
  await world.until(other, "delivered");
  assert.deepEqual(valuesOf(world.audit(other, "email"), "action"), ["notification.failed", "notification.delivered"]);
});

test("GET /notifications/:id shows the caller's own deliveries", async (t) => {
  const { world } = await open(t);
  const [ann, ben] = [await world.person("ann"), await world.person("ben")];
  const id = await world.notify([ann.id, ben.id], ["email"]);
  await world.until(id, "delivered", 2);
  const path = `/api/v1/notifications/${id}`;
  const { body } = await world.prism.get<{ deliveries: Record<string, unknown>[] }>(path, { token: ann.token });
  assert.equal(body.deliveries.length, 1);
  const { id: deliveryId, createdAt, updatedAt, deliveredAt, ...rest } = body.deliveries[0] ?? {};
  assert.equal(deliveryId, world.deliveries(id).find(({ userId }) => userId === ann.id)?.id);
  assert.deepEqual(rest, {
    channel: "email",
    target: "",
    state: "delivered",
    reason: null,
    attempts: 1,
    lastError: null,
  });
  const now = new Date(world.clock.now()).toISOString();
  assert.deepEqual([createdAt, updatedAt, deliveredAt], [now, now, now]);
  const others = await world.prism.get<{ deliveries: unknown[] }>(path);
  assert.deepEqual([others.status, others.body.deliveries], [200, []], "users do not see others' deliveries");
});

test("a notification is sent by its own channels, whatever its source", async (t) => {
  const { world, peer } = await open(t);
  const { prism } = world;
  const ann = await world.person("ann");
  const made = await prism.post("/api/v1/rules", {
    name: "smoke",
    condition: "event.type == 'smoke'",
    targetUsers: [ann.id],
    channels: ["email"],
    titleTemplate: "from a rule",
  });
  assert.equal(made.status, 201, made.text);
  assert.equal((await prism.post("/events", { type: "smoke" })).status, 202);
  const notify = { userId: ann.id, title: "from a timer", body: "x", channels: ["email"] };
  const timer = await prism.post("/api/v1/time/trigger", {
    label: "t",
    delayMs: 0,
    action: { type: "notify", payload: notify },
  });
  assert.equal(timer.status, 201, timer.text);
  const later = { recipients: [ann.id], title: "sent later", message: "x", channels: ["email"], delayMs: 1 };
  assert.equal((await prism.post("/api/v1/notifications", later)).status, 202);
  await world.notify([ann.id], ["in_app"], { title: "not by mail" });
  world.pass(1000);
  await eventually("all three came by mail", () => {
    world.pass(0);
    return peer.accepted.length === 3;
  });
  const subjects = peer.accepted.map((raw) => /^subject: (.*)$/im.exec(raw)?.[1]?.trim()).sort();
  assert.deepEqual(subjects, ["from a rule", "from a timer", "sent later"]);
});

test("a rule that reaches many plans in slices, and none is missing or double", async (t) => {
  const { world, peer } = await open(t, { "delivery.global": "100000" });
  const { prism } = world;
  const now = world.clock.now();
  const role = scalarOf<string>(prism, "select id from roles where name = 'User'") ?? "";
  const people = Array.from({ length: 620 }, (_, n) => ({
    id: `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`,
    email: n % 20 === 0 ? `p${n}@example.com` : null,
    status: "active" as const,
    createdAt: now,
    updatedAt: now,
  }));
  await prism.services.db.write(async (trx) => {
    await trx.insertInto("users").values(people).execute();
    const grants = people.map(({ id }) => ({ userId: id, roleId: role, createdAt: now }));
    await trx.insertInto("user_roles").values(grants).execute();
  });
  prism.rightsChanged();
  const made = await prism.post("/api/v1/rules", {
    name: "all",
    condition: "event.type == 'all'",
    targetRoles: ["User"],
    channels: ["in_app", "email"],
  });
  assert.equal(made.status, 201, made.text);
  assert.equal((await prism.post("/events", { type: "all" })).status, 202);
  await eventually("31 mails came", () => peer.accepted.length === 31, 60_000);
  const [{ id = "" } = {}] = rowsOf<{ id: string }>(prism, "select id from notifications");
  await world.until(id, "delivered", 31);
  await eventually("the trail says so once", () => world.audit(id, "email").length === 1);
  assert.deepEqual(world.audit(id, "email"), [
    { action: "notification.delivered", metadata: { channel: "email", delivered: 31, failed: 0, skipped: 0 } },
  ]);
  assert.equal(peer.seen.length, new Set(peer.seen).size);
});
