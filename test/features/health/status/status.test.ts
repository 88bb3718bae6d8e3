import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { WebSocket } from "ws";
import { QUEUES } from "../../../../src/core/limits/queues.ts";
import { VERSION } from "../../../../src/core/runtime.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";

let prism: TestPrism;
before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

interface Status {
  readonly database: { engine: string; sizeBytes: number; walBytes: number; lastCheckpointAt: string };
  readonly queues: readonly Readonly<Record<string, unknown>>[];
  readonly realtime: { connections: Record<string, number> };
  readonly consumers: readonly unknown[];
  readonly rules: { active: number };
  readonly modules: readonly { name: string; state: string }[];
  readonly [key: string]: unknown;
}

test("S2-135, S1-45: /status reports database, broker, queues, sockets, consumers and modules", async (t) => {
  keepsPromise(t, ["S1-45", "S2-135"]);
  const { body } = await answered(200, prism.get<Status>("/api/v1/status"));
  const { database } = body;
  assert.equal(database.engine, "sqlite");
  assert.ok(database.sizeBytes > 0 && database.walBytes >= 0);
  assert.match(database.lastCheckpointAt, /^\d{4}-\d\d-\d\dT/);
  const off = { mode: "off", connected: false };
  const { version, mysql, redis, pusher, smtp, fcm, apns, consumers, warnings } = body;
  assert.deepEqual(
    { version, mysql, redis, pusher, smtp, fcm, apns, consumers, warnings },
    {
      version: VERSION,
      mysql: { mode: "embedded" },
      redis: { mode: "embedded" },
      pusher: { mode: "embedded", key: prism.parts.offers.pusher.key, connected: true },
      smtp: off,
      fcm: off,
      apns: off,
      consumers: [{ name: "rule-engine", lag: 0 }],
      warnings: [],
    },
  );
  assert.deepEqual(valuesOf(body.queues, "name"), QUEUES);
  assert.ok(body.modules.some(({ name, state }) => name === "operations" && state === "active"));
  const found = Object.values(body.realtime.connections).filter((count) => count !== 0);
  assert.deepEqual(found, []);
});

test("the last backup is the newest archive of the data directory, also after a restore", async () => {
  const lastBackupAt = async () => (await answered(200, prism.get<Status>("/api/v1/status"))).body["lastBackupAt"];
  assert.equal(await lastBackupAt(), null);
  const dir = join(prism.dir, "backups");
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "prism-20260102T030405Z.tar"), "");
  assert.equal(await lastBackupAt(), "2026-01-02T03:04:05.000Z");
  const metrics = (await prism.get("/metrics")).text;
  assert.match(metrics, /^prism_last_backup_timestamp_seconds 1767323045$/m);
});

test("a scheduled timer, a rule and a live connection show in it", async () => {
  await prism.post("/time/trigger", { label: "later", delayMs: 3_600_000, action: { type: "event", event: "later" } });
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'a.b'", targetUsers: ["me"] });
  const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
  try {
    await eventually("all three", async () => {
      const { body } = await prism.get<Status>("/api/v1/status");
      const timers = body.queues.find(({ name }) => name === "timers");
      const sockets = Object.values(body.realtime.connections).reduce((sum, count) => sum + count, 0);
      return timers?.["scheduled"] === 1 && body.rules.active === 1 && sockets === 1;
    });
  } finally {
    socket.terminate();
  }
});
