import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { deferred } from "../../../../src/core/promises.ts";
import { STORE_AFTER_MS } from "../../../../src/features/health/emergency/watch.ts";
import { PAUSED_AFTER_MS } from "../../../../src/features/time/jobs/findings.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { IncidentWorld } from "../../alerts/incidents/support.ts";
import { webhookReceiver } from "./support.ts";

test("a paused queue in which a page waits for a minute is called, with who paused it", async (t) => {
  const hook = await webhookReceiver(t);
  const world = await IncidentWorld.start(t, {
    "emergency.webhook": hook.url,
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  });
  const { prism, clock } = world;
  const { emergencyWatch } = prism.parts.offers;
  const { emergency } = prism.parts.base;
  assert.equal((await prism.post("/api/v1/queues/alert/pause")).status, 200);
  const look = async (): Promise<void> => {
    await emergencyWatch.check();
    await emergency.check();
  };
  clock.advance(PAUSED_AFTER_MS);
  await look();
  assert.equal(hook.calls.length, 0, "no page waits");

  const ann = await world.member("ann");
  const rules = { low: [], high: [{ afterMs: 60_000, channels: ["email"] }] };
  await answered(200, prism.put("/api/v1/users/me/contact-rules", rules, { token: ann.token }));
  await world.fire("A");
  await world.pass(60_000);
  await look();
  assert.equal(hook.calls.length, 0, "it has not waited long enough");
  clock.advance(PAUSED_AFTER_MS);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it is called", async () => {
    await look();
    return hook.calls.length === 1;
  });
  assert.equal(hook.calls[0]?.reason, "queue-paused");
  assert.match(hook.calls[0]?.what ?? "", /^dev paused the queue alert, in which 1 page waits\.$/);

  assert.equal((await prism.post("/api/v1/queues/alert/resume")).status, 200);
  await look();
  assert.equal(emergency.raised.size, 0);
});

test("a store that refuses writes for 10 s is called; a shorter problem is not", async (t) => {
  const hook = await webhookReceiver(t);
  const { prism, clock } = await IncidentWorld.start(t, { "emergency.webhook": hook.url, maxDbBytes: "4000000" });
  const { emergencyWatch } = prism.parts.offers;
  const { emergency, storage } = prism.parts.base;
  const look = async (): Promise<void> => {
    await emergencyWatch.check();
    await emergency.check();
  };
  // Fills what ingest may use, in steps that are smaller than what frees it again.
  const events = Array.from({ length: 10 }, () => ({ type: "a.b", payload: { text: "x".repeat(4000) } }));
  await eventually("ingest is refused", async () => {
    await prism.post("/api/v1/events", events);
    return storage.problem === "limit";
  });
  await look();
  clock.advance(STORE_AFTER_MS - 1);
  await look();
  assert.equal(hook.calls.length, 0);
  await eventually("it is called", async () => {
    // Near the limit a deleted row makes room for a moment.
    await prism.post("/api/v1/events", events);
    clock.advance(STORE_AFTER_MS / 2);
    await look();
    return hook.calls.length > 0;
  });
  assert.equal(hook.calls[0]?.reason, "store-refuses-writes");
  assert.match(hook.calls[0]?.what ?? "", /maxDbBytes/);
});

test("a disk that hangs is called, though the database answers nothing", async (t) => {
  const hook = await webhookReceiver(t);
  const { prism, clock } = await IncidentWorld.start(t, {
    "emergency.webhook": hook.url,
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  });
  const { emergencyWatch, incidents } = prism.parts.offers;
  const { emergency, store } = prism.parts.base;
  // The look of the start.
  await emergencyWatch.check();
  const hung = deferred<never>();
  let reads = 0;
  store.health.check = () => hung.promise;
  incidents.unreached = () => {
    reads += 1;
    return hung.promise;
  };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const look = async (): Promise<void> => {
    let isOver = false;
    const looked = emergencyWatch.check().finally(() => {
      isOver = true;
    });
    for (let turns = 0; turns < 100 && !isOver; turns += 1) {
      t.mock.timers.tick(1000);
      await setImmediate();
    }
    assert.ok(isOver, "the look has an end");
    await looked;
  };
  await look();
  clock.advance(STORE_AFTER_MS);
  await look();
  t.mock.timers.reset();
  await emergency.check();
  assert.deepEqual(
    hook.calls.map(({ reason }) => reason),
    ["store-refuses-writes"],
  );
  assert.equal(reads, 1, "a read that waits is not begun again");
  hung.reject(new Error("the disk is gone"));
});

test("the ways are read again by a reload", async (t) => {
  const hook = await webhookReceiver(t);
  const dir = temporaryDir(t);
  const prism = await startPrism(t, { dir });
  const { emergency } = prism.parts.base;
  assert.equal(emergency.isConfigured, false);
  writeFileSync(join(dir, "prism.config.json"), JSON.stringify({ emergency: { webhook: hook.url } }));
  prism.app.reloadSources();
  assert.equal(emergency.isConfigured, true);
  // A reason that the server itself does not look for.
  emergency.raise("no-leader", { text: "No node leads." });
  await emergency.check();
  assert.equal(hook.calls.length, 1);
});

test("the console shows no secret of emergency and cannot set it", async (t) => {
  const prism = await startPrism(t, { settings: { "emergency.webhook": "http://127.0.0.1:9/hook/secret-token" } });
  const { text, body } = await prism.get<{ data: { key: string; editable: boolean }[] }>("/api/v1/settings");
  assert.ok(!text.includes("secret-token"));
  const own = body.data.filter(({ key }) => key.startsWith("emergency."));
  assert.ok(own.length > 5);
  const found = own.filter(({ editable }) => editable);
  assert.deepEqual(found, []);
});
