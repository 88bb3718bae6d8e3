import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, TestPrism } from "../../../helpers/prism.ts";

let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});

after(() => prism.stop());

const anybody = { token: null };

test("a database that cannot be written gives 503 within its timeout; reads and the loop keep working", async (t) => {
  const locked = await startPrism(t);
  const other = new SqliteDatabase(locked.parts.base.config.databaseFile);
  t.after(() => other.close());
  other.exec("begin immediate");
  const sick = await eventually("503 of /health/db", async () => {
    // The loop is free while the probe waits.
    assert.equal((await locked.get("/health/live", anybody)).status, 200);
    const reply = await locked.get("/health/db", anybody);
    return reply.status === 503 ? reply : null;
  });
  assert.deepEqual(sick.body["status"], "failed");
  assert.equal(sick.headers.get("retry-after"), "1");
  const [health, ready, status] = await Promise.all([
    locked.get<{ status: string; checks: Record<string, unknown> }>("/health", anybody),
    locked.get("/health/ready", anybody),
    locked.get("/api/v1/status"),
  ]);
  assert.deepEqual([health.status, health.body.status, health.body.checks["database"]], [503, "unavailable", "failed"]);
  assert.deepEqual([ready.status, ready.body], [503, { status: "unavailable" }]);
  assert.equal(status.status, 200);
  other.exec("rollback");
  await eventually("recovery", async () => (await locked.get("/health/ready", anybody)).status === 200);
  assert.equal((await locked.post("/events", { type: "order.paid" })).status, 202);
});
