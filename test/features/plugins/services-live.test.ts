import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { type Probe, startProbe } from "./support/probe.ts";

let prism: TestPrism;
let given: Probe["given"];
let uma: Probe["uma"];
let stop: Probe["stop"];

before(async () => {
  ({ prism, given, uma, stop } = await startProbe());
});

after(() => stop());

test("S3-39: realtime publishes to followers of users' streams and channels, and knows who is present", async (t) => {
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await client.ask({ op: "subscribe", id: "s", stream: "channel:live" });
  await given.realtime.publish("channel:live", "note", { n: 0 });
  assert.deepEqual((await client.expect({ op: "event" }))["data"], { n: 0 });
  assert.equal(given.realtime.isLive(uma.id), true);
  const one = await given.realtime.publish("channel:probe", "note", { n: 1 });
  const two = await given.realtime.publish(`user:${uma.id}`, "note", { n: 2 });
  assert.ok(two.offset > one.offset);
  assert.deepEqual(rowsOf(prism, "select type, data from stream_log where seq = ?", one.offset), [
    { type: "note", data: '{"n":1}' },
  ]);
  assert.equal(given.realtime.isLive("nobody"), false);
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ externalId: "crm-7" }).where("id", "=", uma.id).execute(),
  );
  for (const reference of ["crm-7", "uma"]) {
    assert.equal(given.realtime.isLive(reference), true, reference);
    const { offset } = await given.realtime.publish(`user:${reference}`, "note", {});
    assert.deepEqual(rowsOf(prism, "select stream from stream_log where seq = ?", offset), [
      { stream: `user:${uma.id}` },
    ]);
    assert.ok((await given.time.forUser("2026-01-01T12:00:00Z", reference)).isValid);
  }
  await assert.rejects(given.realtime.publish("user:nobody", "note", {}), TypeError);
  await assert.rejects(given.time.forUser("2026-01-01T12:00:00Z", "nobody"), { code: "USER_NOT_FOUND" });
  await assert.rejects(given.realtime.publish("project:x", "note", {}), TypeError);
  await assert.rejects(given.realtime.publish(`channel:probe`, "note", "x".repeat(70_000)), {
    code: "PAYLOAD_TOO_LARGE",
  });
});

test("kv keeps JSON by key, the module's alone", async () => {
  await given.kv.set("k", { a: [1, null, "ü"] });
  assert.deepEqual(await given.kv.get("k"), { a: [1, null, "ü"] });
  await given.kv.set("k", null);
  assert.equal(await given.kv.get("k"), null);
  await given.kv.delete("k");
  assert.equal(await given.kv.get("k"), undefined);
  await prism.parts.base.database.write((trx) =>
    trx.insertInto("module_kv").values({ module: "other", key: "mine", value: "1", updatedAt: 0 }).execute(),
  );
  assert.equal(await given.kv.get("mine"), undefined);
  for (const key of ["team:b", "team:a", "team:ü", "teams", "tea"]) await given.kv.set(key, key.length);
  const keys = async (...args: Parameters<typeof given.kv.list>) =>
    (await given.kv.list(...args)).map(({ key, value }) => `${key} ${String(value)}`);
  assert.deepEqual(await keys("team:"), ["team:a 6", "team:b 6", "team:ü 6"]);
  assert.deepEqual(await keys("team:", { after: "team:a", limit: 1 }), ["team:b 6"]);
  assert.deepEqual(await keys("tea", { limit: 1 }), ["tea 3"]);
  assert.deepEqual(await keys("mine"), []);
  await assert.rejects(given.kv.list("", { limit: 1001 }), TypeError);
  await assert.rejects(given.kv.set("x".repeat(257), 1), TypeError);
  await assert.rejects(given.kv.set("big", "x".repeat(262_145)), { code: "PAYLOAD_TOO_LARGE" });
});

test("config shows the settings in force and no secret", () => {
  const text = JSON.stringify(given.config);
  const { secrets } = prism.parts.base.config;
  for (const secret of [secrets.access, secrets.refresh])
    assert.ok(!text.includes(Buffer.from(secret).toString("base64")) && !text.includes(Buffer.from(secret).toString()));
  assert.equal(given.config["env"], "development");
  assert.equal((given.config["auth"] as Record<string, unknown>)["jwtSecret"], undefined);
  assert.ok(Object.isFrozen(given.config) && Object.isFrozen(given.config["auth"]));
});
