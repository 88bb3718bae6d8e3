import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

interface Health {
  readonly status: string;
  readonly checks: { readonly database: string };
}

const anybody = { token: null };

async function healthOf(prism: TestPrism): Promise<[number, number, number, string, string]> {
  const [health, ready, db] = await Promise.all([
    prism.get<Health>("/health", anybody),
    prism.get("/health/ready", anybody),
    prism.get("/health/db", anybody),
  ]);
  return [health.status, ready.status, db.status, health.body.status, health.body.checks.database];
}

test("a database that has reached maxDbBytes makes the server degraded; it stays ready, and recovers after a delete", async (t) => {
  const prism = await startPrism(t, { settings: { maxDbBytes: "1700000" } });
  const event = { type: "a", payload: { text: "x".repeat(30_000) } };
  await eventually("507", async () => (await prism.post("/api/v1/events", event)).status === 507);
  await eventually("degraded", async () => (await healthOf(prism))[3] === "degraded");
  assert.deepEqual(await healthOf(prism), [200, 200, 200, "degraded", "ok"]);
  const { body } = await prism.get<{ database: { usedBytes: number; limitBytes: number } }>("/api/v1/status");
  assert.equal(body.database.limitBytes, 1_700_000);
  assert.ok(body.database.usedBytes > 1_400_000 && body.database.usedBytes < 1_700_000);

  assert.equal((await prism.delete("/api/v1/projects/default/events")).status, 200);
  await eventually("recovery", async () => (await healthOf(prism))[3] === "ok");
  assert.equal((await prism.post("/api/v1/events", event)).status, 202);
});

test("a database without a free page is reported by every health route", async (t) => {
  const prism = await startPrism(t, { settings: { maxDbBytes: "1500000" } });
  const name = (n: number) => `${n} ${"x".repeat(60)}`;
  const rule = { condition: "false", targetUsers: ["me"], description: "x".repeat(3000) };
  for (let n = 0, status = 201; status === 201; n++)
    status = (await prism.post("/api/v1/rules", { ...rule, name: name(n) })).status;
  await eventually("health", async () => (await healthOf(prism))[0] === 503);
  assert.deepEqual(await healthOf(prism), [503, 503, 503, "unavailable", "full"]);
});

test("health reports a database file that was removed while the server runs", async (t) => {
  const prism = await startPrism(t);
  const file = prism.parts.base.config.databaseFile;
  renameSync(file, `${file}.moved`);
  await eventually("health", async () => (await healthOf(prism))[4] === "gone");
  assert.deepEqual(await healthOf(prism), [503, 503, 503, "unavailable", "gone"]);
  renameSync(`${file}.moved`, file);
  await eventually("recovery", async () => (await healthOf(prism))[0] === 200);
});
