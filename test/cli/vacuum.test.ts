import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { requireRoom } from "../../src/cli/commands/server/vacuum.ts";
import { startPrism, TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { databaseIn, jsonLines, runCli, runJson } from "./run-cli.ts";

interface Vacuumed {
  readonly database: string;
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

test("prism vacuum gives the space of deleted rows back, keeps every row, and leaves nothing else", async (t) => {
  const [dir, cwd] = [temporaryDir(t), temporaryDir(t)];
  const prism = await TestPrism.start({ dir });
  const events = (type: string) => Array.from({ length: 500 }, () => ({ type, payload: { text: "x".repeat(4000) } }));
  for (const type of ["old", "old"]) await prism.post("/events", events(type));
  await prism.delete("/api/v1/projects/default/events");
  await prism.post("/events", [{ type: "kept" }]);
  await prism.stop();
  const file = databaseIn(dir);
  const files = readdirSync(dir).filter((name) => !/-(wal|shm)$/.test(name));

  const args = ["--data-dir", dir];
  const { database, beforeBytes, afterBytes } = await runJson<Vacuumed>(["vacuum", ...args], { cwd });
  assert.equal(database, file);
  assert.ok(beforeBytes > 4_000_000 && afterBytes < 2_000_000, `${beforeBytes} to ${afterBytes}`);
  assert.equal(statSync(file).size, afterBytes);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const found = readdirSync(dir).filter((name) => !/-(wal|shm)$/.test(name));
  assert.deepEqual(found, files);
  const exported = await runCli(["export", "events", ...args], { cwd });
  assert.deepEqual(valuesOf(jsonLines<{ type: string }>(exported.stdout), "type"), ["kept"]);
  const doctor = await runCli(["doctor", "--db", ...args], { cwd });
  assert.doesNotMatch(doctor.stdout, /^(FAIL|WARN)/m);

  const again = await TestPrism.start({ dir });
  assert.equal((await again.post("/events", { type: "next" })).status, 202);
  await again.stop();
});

test("prism vacuum does not run beside a server, on a file that another program has open, or without a database", async (t) => {
  const prism = await startPrism(t);
  const args = ["--data-dir", prism.dir];
  const served = await runCli(["vacuum", ...args], { cwd: prism.dir });
  assert.deepEqual([served.status, /another Prism holds/.test(served.stderr)], [4, true], served.stderr);
  await prism.stop();
  const other = new SqliteDatabase(databaseIn(prism.dir));
  other.prepare("select count(*) from settings").get();
  const open = await runCli(["vacuum", ...args], { cwd: prism.dir });
  assert.deepEqual([open.status, /another program has .* open/.test(open.stderr)], [4, true], open.stderr);
  other.close();
  const cwd = temporaryDir(t);
  const none = await runCli(["vacuum"], { cwd });
  assert.deepEqual([none.status, existsSync(join(cwd, "data"))], [4, false]);
});

test("prism vacuum changes nothing where the disk has no room for the copy", (t) => {
  requireRoom(temporaryDir(t), 1);
  assert.throws(() => requireRoom(temporaryDir(t), 1e18), {
    message: /the copy needs .* are free; nothing was changed$/,
  });
});
