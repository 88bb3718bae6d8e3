import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { sha256Hex } from "../../src/core/crypto/tokens.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsOf } from "../helpers/tables.ts";
import { leftovers, type Made, madeDir, users } from "./backup-support.ts";
import { runCli, runJson } from "./run-cli.ts";

test("S4-17, 12.10 backup.create: beside a server, an archive of mode 0600 that tar knows; its path, size and hash are said and recorded", async (t) => {
  keepsPromise(t, "S4-17");
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", { type: "order.paid" });
  const args = ["backup", "--verify", "--data-dir", prism.dir];
  const made = await runJson<Made>(args, { cwd: prism.dir });
  assert.match(made.file, /\/backups\/prism-\d{8}T\d{6}Z\.tar$/);
  assert.deepEqual(Object.keys(made), ["file", "bytes", "sha256", "schema"]);
  const content = readFileSync(made.file);
  assert.deepEqual([made.bytes, made.sha256], [content.length, sha256Hex(content)]);
  assert.equal(made.schema, MIGRATIONS.at(-1)?.name);
  assert.deepEqual(
    [statSync(made.file).mode & 0o777, statSync(join(prism.dir, "backups")).mode & 0o777],
    [0o600, 0o700],
  );
  const [record] = rowsOf<{ resourceType: string; actor: string; metadata: string }>(
    prism,
    "select resourceType, actor, metadata from audit_log where action = 'backup.create'",
  );
  assert.equal(record?.resourceType, "backup");
  assert.equal(JSON.parse(record?.actor ?? "{}").type, "operator");
  assert.deepEqual(JSON.parse(record?.metadata ?? "{}"), {
    bytes: made.bytes,
    sha256: made.sha256,
    withSecrets: false,
  });
  assert.deepEqual(leftovers(prism.dir, join(prism.dir, "backups")), []);
  assert.equal((await prism.post("/api/v1/events", { type: "order.paid" })).status, 202, "the server goes on");
  assert.equal((await prism.get<{ ok: boolean }>("/api/v1/audit/verify")).body.ok, true);
  const human = await runCli(["backup", "named.tar", "--data-dir", prism.dir], { cwd: prism.dir });
  assert.match(human.stdout, /\/named\.tar\n\d+\.\d [KM]iB, SHA-256 [0-9a-f]{64}\n$/);
});

test("S4-18: restore --check looks and changes nothing; restore brings the data back and keeps what was there", async (t) => {
  const { cwd, data, archive } = madeDir(t);
  await runJson(["user", "create", "--username", "late"], { cwd });
  const untouched = readdirSync(data);
  const checked = await runJson<{ ok: boolean; schema: string }>(["restore", archive, "--check"], { cwd });
  assert.deepEqual([checked.ok, checked.schema], [true, MIGRATIONS.at(-1)?.name]);
  assert.deepEqual([readdirSync(data), users(data)], [untouched, ["ann", "late"]]);
  const broken = join(cwd, "broken.tar");
  writeFileSync(broken, readFileSync(archive).subarray(0, -1));
  const found = await runCli(["restore", broken, "--check", "--json"], { cwd });
  assert.equal(found.status, 8);
  assert.deepEqual(Object.keys(JSON.parse(found.stdout)), ["ok", "file", "problem"]);

  const { status, stdout, stderr } = await runCli(["restore", archive, "--yes"], { cwd });
  assert.equal(status, 0, stderr);
  const [, kept = ""] = /kept in (\S+\.before-restore)$/m.exec(stdout) ?? [];
  assert.deepEqual([users(data), users(kept)], [["ann"], ["ann", "late"]]);
  assert.match(stderr, /log in again[\s\S]*Paused until prism queue resume --all: notification-delivery/);
  const doctor = await runCli(["doctor", "--db"], { cwd });
  assert.equal(doctor.status, 0, doctor.stdout);
  assert.deepEqual(leftovers(cwd, data), []);
});
