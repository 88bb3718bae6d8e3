import assert from "node:assert/strict";
import { statfsSync, statSync } from "node:fs";
import { hostname } from "node:os";
import test, { after, before } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { VERSION } from "../../../../src/core/runtime.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject } from "../../../helpers/people.ts";
import { startPrism, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { RawConnection } from "../../../http/support/raw-connection.ts";

let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});

after(() => prism.stop());

const anybody = { token: null };

test("S0-13, S0-23, S2-120, S4-08, S4-29: /health says without credentials that all is well", async (t) => {
  keepsPromise(t, ["S0-23", "S2-120", "S4-08", "S4-29"]);
  for (const path of ["/health", "/api/v1/health"]) {
    const { status, body, headers } = await prism.get(path, anybody);
    assert.equal(status, 200);
    const { uptimeMs, ...rest } = body as { uptimeMs: number };
    assert.ok(Number.isInteger(uptimeMs) && uptimeMs >= 0);
    assert.deepEqual(rest, {
      status: "ok",
      version: VERSION,
      db: "ok",
      redis: "ok",
      checks: { database: "ok", storage: "ok", ruleEngine: "ok", accepting: true },
    });
    assert.equal(headers.get("cache-control"), "no-store");
  }
});

test("/health and /setup tell version and mode to signed-in callers and to this machine only", async (t) => {
  // The proxy of another machine: its clients are not on this one.
  const proxied = await startPrism(t, { settings: { trustedProxies: "127.0.0.1/32" } });
  const { apiKey } = await makeProject(proxied);
  const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
  for (const path of ["/health", "/api/v1/setup"]) {
    for (const [name, options, isShown] of [
      ["this machine", anybody, true],
      ["another machine", { ...anybody, ...from("203.0.113.9") }, false],
      ["a proxy that is not trusted", { ...anybody, headers: { Via: "1.1 proxy" } }, false],
      ["an invalid token", { token: "x.y.z", ...from("203.0.113.9") }, false],
      ["a session", from("203.0.113.9"), true],
      ["an API key", { apiKey, ...from("203.0.113.9") }, true],
    ] as const) {
      const { status, body } = await proxied.get<Record<string, unknown>>(path, options);
      assert.equal(status, 200, name);
      assert.equal(body["version"], isShown ? VERSION : undefined, `${path} ${name}`);
      assert.equal("development" in body, isShown && path === "/api/v1/setup", `${path} ${name}`);
    }
  }
});

test("health responses contain no host, no path, no secret", async () => {
  for (const path of ["/health", "/health/live", "/health/ready", "/health/db", "/health/redis"]) {
    const { text } = await prism.get(path, anybody);
    for (const word of [hostname(), prism.dir, "prism.db", prism.parts.base.config.secrets.access])
      assert.ok(!text.includes(word), `${path} says ${word}`);
  }
});

test("/health/live and /health/ready are 200 while the server runs", async () => {
  for (const path of ["/health/live", "/health/ready"]) {
    const { status, body } = await prism.get(path, anybody);
    assert.deepEqual([status, body], [200, { status: "ok" }]);
  }
});

test("S4-30: /health/db measures a probe of the database", async (t) => {
  keepsPromise(t, "S4-30");
  const { status, body } = await prism.get<{ status: string; latencyMs: number }>("/health/db", anybody);
  assert.deepEqual([status, body.status], [200, "ok"]);
  assert.ok(body.latencyMs >= 0);
});

test("S0-15, S4-31: /health/redis says that the broker is embedded", async (t) => {
  keepsPromise(t, "S4-31");
  const { status, body } = await prism.get("/health/redis", anybody);
  assert.deepEqual([status, body], [200, { status: "ok", mode: "embedded", latencyMs: 0 }]);
});

test("probes are answered to HEAD, and never limited", async (t) => {
  const limited = await startPrism(t, { settings: { "rateLimit.ip": "2" } });
  for (let i = 0; i < 10; i++)
    assert.equal((await limited.request("HEAD", "/health/live", undefined, anybody)).status, 200);
  assert.equal((await limited.get("/health", anybody)).status, 200);
  const others = await Promise.all(Array.from({ length: 4 }, () => limited.get("/api/v1/rules", anybody)));
  assert.ok(others.some(({ status }) => status === 429));
});

test("a full disk makes the server degraded, not dead: it is ready to answer reads", async (t) => {
  const full = await startPrism(t, { settings: { minFreeBytes: "1000000000000000" } });
  const { status, body } = await full.get<{ status: string; checks: Record<string, unknown> }>("/health", anybody);
  assert.deepEqual([status, body.status, body.checks["storage"]], [200, "degraded", "full"]);
  assert.equal((await full.get("/health/ready", anybody)).status, 200);
  const refused = await full.post<{ error: { code: string } }>("/events", { type: "order.paid" });
  assert.deepEqual([refused.status, refused.body.error.code], [507, "STORAGE_FULL"]);
  const { body: state } = await full.get<{ database: { freeDiskBytes: number } }>("/api/v1/status");
  assert.ok(state.database.freeDiskBytes > 0);
});

test("sizes are those of the files, and free is what an account other than root may write", async () => {
  const { databaseFile, dataDir } = prism.parts.base.config;
  type Sizes = { readonly sizeBytes: number; readonly walBytes: number; readonly freeDiskBytes: number };
  // The server may write between the answer and the comparison, and others may use the same disk.
  await eventually("the sizes of the files and of the disk", async () => {
    const { body } = await prism.get<{ database: Sizes }>("/api/v1/status");
    const { sizeBytes, walBytes, freeDiskBytes } = body.database;
    const isOfFiles = sizeBytes === statSync(databaseFile).size && walBytes === statSync(`${databaseFile}-wal`).size;
    const { bavail, bsize } = statfsSync(dataDir);
    return isOfFiles && Math.abs(freeDiskBytes - bavail * bsize) < 1_000_000_000;
  });
});

test("while the server stops, readiness is 503 and new requests are refused; what is under way is answered", async (t) => {
  const stopping = await TestPrism.start({ settings: { shutdownMs: "60000" } });
  const probe = await RawConnection.open(t, stopping.app.port);
  const ingest = await RawConnection.open(t, stopping.app.port);
  const body = '{"type":"order.paid"}';
  const head = `POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${stopping.adminToken}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  await ingest.sendAlone(head + body.slice(0, 5));
  probe.send("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal((await probe.reply()).status, 200);

  const stopped = stopping.stop();
  await eventually("draining", () => stopping.parts.core.kernel.requests.isDraining);
  probe.send("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal((await probe.reply()).status, 503);
  probe.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal((await probe.reply()).status, 200);
  probe.send("GET /api/v1/rules HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const refused = await probe.reply();
  assert.deepEqual([refused.status, JSON.parse(refused.body).error.code], [503, "SHUTTING_DOWN"]);

  ingest.send(body.slice(5));
  const accepted = await ingest.reply();
  assert.equal(accepted.status, 202);
  await stopped;
  const db = new SqliteDatabase(stopping.parts.base.config.databaseFile, { readonly: true });
  const count = db.prepare("select count(*) from events").pluck().get();
  db.close();
  assert.equal(count, 1);
});
