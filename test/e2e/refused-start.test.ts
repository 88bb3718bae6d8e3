import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { PrismBinary } from "./prism-binary.ts";

/** One line that a person can act on, on stderr, and nothing of the program's inside. */
function assertPlain(stderr: string, says: RegExp): void {
  assert.match(stderr, says);
  assert.doesNotMatch(stderr, /\n\s+at |node:internal|main\.js/, "no stack");
}

test("the executable starts in an empty folder, answers, and ends with 0 on SIGTERM", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const health = await fetch(`${prism.url}/health`);
  assert.equal(health.status, 200);
  assert.equal(((await health.json()) as { status: string }).status, "ok");
  assert.match(prism.output, /docs http:\/\/127\.0\.0\.1:\d+\/docs/);
  assert.equal(await prism.stop(), 0);
});

test("a taken port ends with 4 and says which port and what to do", async (t) => {
  const prism = new PrismBinary(t);
  const other = createServer().listen(0, "127.0.0.1");
  t.after(() => other.close());
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  const { status, stderr } = prism.run(["serve", "--port", String(port)]);
  assert.equal(status, 4);
  assertPlain(stderr, new RegExp(`127\\.0\\.0\\.1:${port}.*--port`));
});

test("a data directory that cannot be written ends with 4 and names it", async (t) => {
  const prism = new PrismBinary(t);
  // A file in the way holds against every user, root included.
  writeFileSync(join(prism.dir, "in-the-way"), "");
  const { status, stderr } = prism.run(["serve", "--port", "0", "--data-dir", "in-the-way/data"]);
  assert.equal(status, 4);
  assertPlain(stderr, /in-the-way\/data.*--data-dir/);
});

test("a data directory that another server holds ends with 4", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const { status, stderr } = prism.run(["serve", "--port", "0"]);
  assert.equal(status, 4);
  assertPlain(stderr, /another Prism holds the data directory/);
});

test("a database that is newer than the program ends with 3 and is left alone", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  await prism.stop();
  const file = join(prism.dir, "data/prism.db");
  const db = new SqliteDatabase(file);
  db.prepare("insert into migrations (name, checksum, appliedAt) values ('9999_from_the_future', 'x', 1)").run();
  db.close();
  const { status, stderr } = prism.run(["serve", "--port", "0"]);
  assert.equal(status, 3);
  assertPlain(stderr, /newer than this program.*9999_from_the_future/);
});

test("production without secrets ends with 3 and lists everything that is missing at once", (t) => {
  const prism = new PrismBinary(t, { env: { NODE_ENV: "production", PRISM_INGEST_MAX_BATCH: "many" } });
  const { status, stderr } = prism.run(["serve", "--port", "0"]);
  assert.equal(status, 3);
  assertPlain(stderr, /PRISM_INGEST_MAX_BATCH must be a whole number/);
});

test("without a folder to unpack its addons into, the executable ends with 4 and says which variable to set", (t) => {
  const blocked = join(tmpdir(), `prism-blocked-${process.pid}`);
  writeFileSync(blocked, "");
  t.after(() => rmSync(blocked));
  const env = { HOME: blocked, TMPDIR: blocked, XDG_CACHE_HOME: blocked, PRISM_CACHE_DIR: blocked };
  const { status, stderr } = new PrismBinary(t, { env }).run(["serve", "--port", "0"]);
  assert.equal(status, 4);
  assertPlain(stderr, /PRISM_CACHE_DIR/);
});
