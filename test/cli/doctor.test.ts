import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { examine, madeDir, saying } from "./doctor-support.ts";
import { runCli } from "./run-cli.ts";

const CHECKS = [
  "configuration",
  "secrets",
  "node",
  "permissions",
  "descriptors",
  "disk",
  "database",
  "migrations",
  "schema",
  "foreign keys",
  "encryption",
  "audit",
  "queues",
  "keys",
  "accounts",
  "rights",
  "stored bytes",
  "clock",
  "redis",
  "smtp",
  "port",
];

test("S4-42: doctor shows one line per check and no settings; a made data directory is in order", async (t) => {
  keepsPromise(t, "S4-42");
  const { cwd } = madeDir(t);
  const env = { PORT: "0", LOG_LEVEL: "warn", PRISM_METRICS_TOKEN: "a-metrics-token-of-ours" };
  const [{ status, report, found }, human] = await Promise.all([
    examine(cwd, [], env),
    runCli(["doctor", "--no-color"], { cwd, env }),
  ]);
  assert.deepEqual([status, report.ok], [0, true], JSON.stringify(report.checks));
  assert.deepEqual([...found.keys()], CHECKS);
  assert.deepEqual(Object.keys(report), ["checks", "ok"]);
  assert.equal(human.status, 0);
  const lines = human.stdout.trimEnd().split("\n");
  assert.equal(lines.length, CHECKS.length);
  for (const [at, name] of CHECKS.entries()) assert.match(lines[at] ?? "", new RegExp(`^(PASS|WARN)  ${name} +\\S`));
  assert.doesNotMatch(human.stdout + JSON.stringify(report), /a-metrics-token/);
});

test("before the first start doctor fails without a database, and creates nothing", async (t) => {
  const cwd = temporaryDir(t);
  const { status, found } = await examine(cwd);
  assert.equal(status, 8);
  assert.deepEqual([found.get("permissions"), found.get("database")], ["WARN", "FAIL"]);
  assert.equal(existsSync(join(cwd, "data")), false);
});

test("S4-43, S4-42: --redis and --db look at one thing only", async (t) => {
  keepsPromise(t, ["S4-42", "S4-43"]);
  const { cwd } = madeDir(t);
  const [redis, db] = await Promise.all([
    examine(cwd, ["--redis"], { REDIS_HOST: "redis.example.org" }),
    examine(cwd, ["--db", "--deep"]),
  ]);
  assert.deepEqual([redis.status, [...redis.found]], [0, [["redis", "WARN"]]]);
  assert.match(saying(redis.report, "redis"), /embedded[\s\S]*REDIS_HOST is ignored/);
  assert.deepEqual([...db.found.keys()], CHECKS.slice(CHECKS.indexOf("database"), CHECKS.indexOf("redis")));
  assert.match(saying(db.report, "database"), /integrity check found nothing/);
});
