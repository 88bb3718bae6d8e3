import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../../helpers/eventually.ts";
import { answered, startPrism } from "../../../../helpers/prism.ts";
import { keepsPromise } from "../../../../helpers/promise.ts";
import { temporaryDir } from "../../../../helpers/store.ts";
import { rowsOf } from "../../../../helpers/tables.ts";
import { DeliveryWorld } from "../../../delivery/support/delivery-world.ts";
import { type LeasedJob, makeWorker, outcomeOf, type TestWorker } from "./support.ts";

const QUEUES = ["notification-delivery", "push-notification"];
const HOSTS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const LEASE_MS = 60_000;

interface Handed {
  readonly deliveryId: string;
  readonly channel: string;
  readonly message: Readonly<Record<string, unknown>>;
}

interface Given {
  readonly world: DeliveryWorld;
  readonly worker: TestWorker;
  readonly ann: string;
  /** The only attempt that a claim gives. */
  one(): Promise<{ job: LeasedJob; handed: Handed }>;
}

/** A server that leaves mail and webhooks to workers, and has no mail server itself. */
async function given(t: TestContext, prefs: object = {}): Promise<Given> {
  const settings = { "delivery.workers": "email,webhook", "rateLimit.enabled": "false", ...HOSTS };
  const world = await DeliveryWorld.open(t, { settings });
  const worker = await makeWorker(world.prism);
  const { id: ann } = await world.person("ann", prefs);
  return {
    world,
    worker,
    ann,
    async one() {
      const job = await worker.one({ queues: QUEUES, waitMs: 10_000 });
      return { job, handed: job.payload as Handed };
    },
  };
}

test("S2-123: an attempt is handed out as what its one call needs, and nothing more", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, ann, one, worker } = await given(t);
  const notificationId = await world.notify([ann], ["email"], { title: "Fire <b>", message: "leave" });
  assert.equal((await world.only(notificationId, "queued")).reason, "for a worker");
  const { job, handed } = await one();
  const delivery = await world.only(notificationId, "sending");
  assert.equal(delivery.reason, null);
  assert.deepEqual([job.id, job.queue, job.kind, job.attempt], [delivery.id, "workers:email", "delivery.attempt", 1]);
  const { html, ...message } = handed.message;
  assert.match(String(html), /Fire &lt;b&gt;/);
  assert.deepEqual(
    { ...handed, message },
    {
      deliveryId: delivery.id,
      channel: "email",
      message: { to: "ann@example.com", subject: "Fire <b>", text: "leave\n", id: delivery.id, headers: {} },
    },
  );
  assert.equal(await outcomeOf(worker.complete(job, { result: { providerId: "<x@example.com>" } })), "200");
  const delivered = await world.only(notificationId, "delivered");
  assert.deepEqual([delivered.providerId, delivered.attempts], ["<x@example.com>", 1]);
  assert.equal(await outcomeOf(worker.complete(job)), "409 INVALID_STATE");
  const [audited] = rowsOf<{ actor: string }>(
    world.prism,
    "select actor from audit_log where action = 'notification.delivered'",
  );
  assert.deepEqual(JSON.parse(audited?.actor ?? ""), { type: "job" }, "the worker's request is not what did it");
});

test("S2-123: a webhook is handed out with its signature: the worker never has the secret", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, ann, one, worker } = await given(t);
  const made = await world.prism.post<{ id: string; secret: string }>("/api/v1/webhooks", {
    url: "http://127.0.0.1:9/",
  });
  await world.prism.services.db.write((trx) =>
    trx.updateTable("webhooks").set({ userId: ann }).where("id", "=", made.body.id).execute(),
  );
  const notificationId = await world.notify([ann], ["webhook"]);
  const { job, handed } = await one();
  assert.deepEqual(Object.keys(handed.message).sort(), ["body", "headers", "url"]);
  assert.match(JSON.stringify(handed.message["headers"]), /webhook-signature":"v1,/);
  const key = made.body.secret.slice("whsec_".length);
  assert.ok(!JSON.stringify(job).includes(key) && key.length > 40);
  assert.equal(await outcomeOf(worker.fail(job, { error: "410", fault: "target" })), "200");
  await world.only(notificationId, "dead");
  assert.deepEqual(rowsOf(world.prism, "select active from webhooks"), [{ active: 0 }], "it is gone for all");
});

test("S2-123: jobs that the server decides, plans or merges are never dispatched", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, worker, ann, one } = await given(t, { quietHours: { from: "00:00", to: "23:59" } });
  const quiet = await world.notify([ann], ["email"]);
  await world.untilHeld(quiet, "quiet hours");
  const urgent = await world.notify([ann], ["email"], { priority: 900 });
  const { job } = await one();
  assert.equal(job.id, (await world.only(urgent, "sending")).id, "the plan was the server's, and the quiet one waits");
  const gone = await world.notify([ann], ["email"], { priority: 900, title: "gone" });
  await world.until(gone, "queued");
  assert.deepEqual(await worker.claimed({ queues: QUEUES }), [], "one at a time to one place");
  await world.prism.services.db.write((trx) =>
    trx
      .updateTable("notification_recipients")
      .set({ deletedAt: world.clock.now() })
      .where("notificationId", "=", gone)
      .execute(),
  );
  assert.equal(await outcomeOf(worker.complete(job)), "200");
  assert.deepEqual(await worker.claimed({ queues: QUEUES }), []);
  const skipped = await world.only(gone, "skipped");
  assert.equal(skipped.reason, "deleted by recipient");
  const kinds = rowsOf(world.prism, "select distinct kind, state from jobs where queue = 'notification-delivery'");
  assert.deepEqual(kinds, [{ kind: "notification.deliver", state: "succeeded" }]);
});

test("S2-123: a worker is given only what it can send, and learns what the server leaves to it", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, worker, ann } = await given(t);
  const notificationId = await world.notify([ann], ["email"]);
  await world.until(notificationId, "queued");
  const claim = async (more: object) => (await worker.claim({ queues: QUEUES, ...more })).body;
  assert.deepEqual(await claim({ channels: ["webhook", "fcm"] }), { jobs: [], channels: ["webhook"] });
  assert.deepEqual(await claim({ queues: ["push-notification"] }), { jobs: [], channels: ["email", "webhook"] });
  assert.equal(await outcomeOf(worker.claim({ queues: QUEUES, channels: ["pusher"] })), "400 VALIDATION_FAILED");
  assert.equal(((await claim({ channels: ["email"] })) as { jobs: unknown[] }).jobs.length, 1);
});

test("S2-123: a pause of notification-delivery, or of the channel's own queue, holds for workers too", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, worker, ann } = await given(t);
  const notificationId = await world.notify([ann], ["email"]);
  await world.until(notificationId, "queued");
  for (const queue of ["notification-delivery", "workers:email"]) {
    assert.equal((await world.prism.post(`/api/v1/queues/${queue}/pause`)).status, 200);
    assert.deepEqual(await worker.claimed({ queues: QUEUES }), [], queue);
    const waiting = worker.claimed({ queues: QUEUES, waitMs: 10_000 });
    assert.equal((await world.prism.post(`/api/v1/queues/${queue}/resume`)).status, 200);
    const [job] = await waiting;
    assert.ok(job, queue);
    assert.equal(await outcomeOf(worker.fail(job, { error: undefined, handBack: true })), "200");
  }
  const [delivery] = await world.until(notificationId, "queued");
  assert.equal(delivery?.reason, null);
});

test("S2-123: a lease that runs out in the trial of a paused provider lets the next attempt try", async (t) => {
  keepsPromise(t, "S2-123");
  const { world, worker, ann, one } = await given(t);
  const notificationId = await world.notify([ann], ["email"]);
  const { job } = await one();
  assert.equal(await outcomeOf(worker.fail(job, { error: "535", fault: "provider" })), "200");
  await world.untilHeld(notificationId, "provider paused");
  world.pass(30_000);
  await one();
  world.clock.advance(LEASE_MS);
  const other = await makeWorker(world.prism, "other");
  const [again] = await other.claimed({ queues: QUEUES, waitMs: 10_000 });
  assert.ok(again, "it is retried at once, without waiting for the lost one");
  assert.equal(await outcomeOf(other.complete(again)), "200");
  await world.only(notificationId, "delivered");
  const { body } = await world.prism.get<{ paused: unknown }>("/api/v1/status");
  assert.deepEqual(body.paused, []);
});

test("S2-123: what was planned before the setting changed goes the new way, in both directions", async (t) => {
  keepsPromise(t, "S2-123");
  const dir = temporaryDir(t);
  const smtp = { "smtp.host": "127.0.0.1", "smtp.port": "9", "rateLimit.enabled": "false" };
  const open = (settings: Record<string, string>) => startPrism(t, { dir, settings });
  const before = await open(smtp);
  const send = async (): Promise<string> => {
    const body = { userId: "me", channels: ["email"], title: "t", message: "m" };
    const { body: made } = await answered(201, before.post<{ id: string }>("/api/v1/notifications", body));
    return made.id;
  };
  await before.services.db.write((trx) => trx.updateTable("users").set({ email: "a@example.com" }).execute());
  assert.equal((await before.post("/api/v1/queues/notification-delivery/pause")).status, 200);
  await send();
  assert.equal((await before.post("/api/v1/queues/notification-delivery/resume")).status, 200);
  await eventually(
    "the server has tried",
    () => rowsOf(before, "select 1 from deliveries where state = 'failed' and attempts > 0").length === 1,
  );
  await before.stop();
  const left = await open({ "delivery.workers": "email", "rateLimit.enabled": "false" });
  const [{ id }] = rowsOf<{ id: string }>(left, "select id from deliveries") as [{ id: string }];
  await left.post(`/api/v1/jobs/${id}/promote`);
  const queueOf = (prism: typeof left): string | undefined =>
    rowsOf<{ queue: string }>(prism, "select queue from jobs where id = ?", id)[0]?.queue;
  await eventually("it is the workers'", () => queueOf(left) === "workers:email");
  assert.deepEqual(rowsOf(left, "select state from jobs where id = ?", id), [{ state: "ready" }]);
  const shown = await left.get<{ data: { name: string; ready: number }[] }>("/api/v1/queues");
  assert.ok(shown.text.includes('"workers:email"'));
  await left.stop();
  const back = await open({ ...smtp, "smtp.port": "10" });
  await eventually(
    "the server tries itself again",
    () => rowsOf<{ attempts: number }>(back, "select attempts from deliveries")[0]?.attempts === 2,
  );
});
