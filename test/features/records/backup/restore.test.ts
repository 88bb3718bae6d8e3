import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import type { AuditVerification as Verdict } from "../../../../src/client/api-types.gen.ts";
import { OFFSET_JUMP } from "../../../../src/features/records/backup/prepare-restored.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { column, temporaryDir } from "../../../helpers/store.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { restoreInto } from "./support/crafted.ts";
import { backUp, keysOf } from "./support/running.ts";

async function emit(prism: TestPrism, count: number): Promise<void> {
  for (let n = 0; n < count; n++)
    assert.equal((await prism.post("/api/v1/events", { type: "order.paid", payload: { n } })).status, 202);
}

function opened(t: TestContext, dir: string): Sqlite {
  const db = new SqliteDatabase(join(dir, "prism.db"));
  t.after(() => db.close());
  return db;
}

/** Typical content of a data directory before a restore: a rule, events, notifications. */
async function filled(t: TestContext): Promise<TestPrism> {
  const prism = await startPrism(t);
  const rule = { name: "paid", condition: "event.type == 'order.paid'", targetUsers: ["me"] };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await emit(prism, 5);
  return prism;
}

test("12.10 backup.restore, S4-18: the data is that of the archive, what was there is kept, and both are recorded", async (t) => {
  keepsPromise(t, "S4-18");
  const prism = await filled(t);
  const { file, manifest } = await backUp(t, prism, { verify: true });
  await emit(prism, 3);
  await prism.stop();
  const keys = keysOf(prism);
  const before = readFileSync(join(prism.dir, "prism.db"));
  const head = readFileSync(join(prism.dir, "audit.head"), "utf8").trim();
  const restored = await restoreInto(prism.dir, file, { keys });

  const [kept = ""] = restored.kept ?? [];
  assert.match(kept, /\/\d{8}T\d{9}Z\.before-restore$/);
  assert.deepEqual(readFileSync(join(kept, "prism.db")), before, "the old database, with its log moved in");
  assert.equal(readFileSync(join(kept, "audit.head"), "utf8").trim(), head);
  assert.deepEqual([statSync(kept).mode & 0o777, statSync(join(prism.dir, "prism.db")).mode & 0o777], [0o700, 0o600]);
  const found = readdirSync(prism.dir).filter((name) => /partial|pending|-wal|-shm/.test(name));
  assert.deepEqual(found, []);

  const db = opened(t, prism.dir);
  assert.deepEqual(column(db, "select seq from events order by seq"), [1, 2, 3, 4, 5]);
  const record = db
    .prepare<[], { resourceId: string; metadata: string }>(
      "select resourceId, metadata from audit_log where action = 'backup.restore'",
    )
    .get();
  assert.equal(record?.resourceId, manifest.id);
  assert.equal(JSON.parse(record?.metadata ?? "{}").replaced, head.split(":", 2).join(":"));
  const old = new SqliteDatabase(join(kept, "prism.db"), { readonly: true });
  t.after(() => old.close());
  assert.deepEqual(column(old, "select resourceId from audit_log where action = 'backup.create'"), [manifest.id]);

  await prism.restart();
  const { body } = await prism.get<Verdict>("/api/v1/audit/verify");
  assert.equal(body.ok, true, "a shorter trail than the noted one is not missed where a restore accounts for it");
});

test("sessions, links and leases end; jobs that ran run again, and the lost attempt stays in their history", async (t) => {
  const prism = await filled(t);
  const { id } = await makeUser(prism, "uma");
  await prism.services.db.write(async (trx) => {
    const at = Date.now();
    const session = { id: "s", userId: id, family: "f", userAgent: "", ip: "", createdAt: at, lastUsedAt: at };
    await trx
      .insertInto("sessions")
      .values({ ...session, expiresAt: at * 2 })
      .execute();
    await trx
      .insertInto("refresh_tokens")
      .values({ hash: "h", sessionId: "s", issuedAt: at, expiresAt: at * 2 })
      .execute();
    await trx
      .insertInto("one_time_tokens")
      .values({ hash: "o", userId: id, kind: "invite", expiresAt: at * 2 })
      .execute();
    await trx
      .insertInto("workers")
      .values({ id: "w", pid: 1, host: "h", startedAt: at, leaseUntil: at * 2 })
      .execute();
    await trx
      .insertInto("forwards")
      .values({
        ...{ id: "f", projectId: "p", kind: "receivers", sourceId: "r", at, requestId: "q", bytes: 1 },
        request: Buffer.from("sealed"),
      })
      .execute();
  });
  await prism.stop();
  const db = opened(t, prism.dir);
  const job = db.prepare(
    `insert into jobs (id, queue, kind, payload, state, runAt, attempts, maxAttempts, workerId, startedAt, createdAt)
     values (?, 'digest', 'none', '{}', 'running', 1, ?, 3, 'w', 1, 1)`,
  );
  job.run("first", 1);
  job.run("last", 3);
  db.close();
  const archive = await backUp(t, prism);
  const dir = temporaryDir(t);
  await restoreInto(dir, archive.file, { keys: keysOf(prism) });
  const restored = opened(t, dir);
  for (const table of ["sessions", "refresh_tokens", "one_time_tokens", "workers", "forwards"])
    assert.deepEqual(column(restored, `select count(*) from ${table}`), [0], table);
  assert.deepEqual(
    restored.prepare("select id, state, attempts, workerId from jobs where queue = 'digest' order by id").all(),
    [
      { id: "first", state: "ready", attempts: 1, workerId: null },
      { id: "last", state: "running", attempts: 3, workerId: null },
    ],
  );
  assert.deepEqual(column(restored, "select outcome from job_attempts where jobId = 'first'"), ["lost"]);
});

test("every counter continues a million after its highest value, in the old data or in the restored", async (t) => {
  const prism = await filled(t);
  await prism.restart();
  const { file } = await backUp(t, prism);
  await emit(prism, 3);
  await prism.stop();
  const last = (dir: string, name: string) =>
    column<number>(opened(t, dir), "select value from settings where key = ?", `sequence.${name}.last`)[0] ??
    Number.NaN;
  const old = { events: last(prism.dir, "events"), streams: last(prism.dir, "streams") };
  assert.equal(old.events, 8);
  const { offsets } = await restoreInto(prism.dir, file, { keys: keysOf(prism) });
  // The copy was made beside a server, which draws from blocks of 100 000
  // (src/store/commit/apply-write-set.ts).
  assert.deepEqual(offsets, { events: 100_000 + OFFSET_JUMP, streams: 100_000 + OFFSET_JUMP });

  const again = await restoreInto(prism.dir, file, { keys: keysOf(prism) });
  assert.deepEqual(
    again.offsets,
    { events: 100_000 + 2 * OFFSET_JUMP, streams: 100_000 + 2 * OFFSET_JUMP },
    "the old one was further",
  );
  await prism.restart();
  await emit(prism, 1);
  const { body } = await prism.get<{ data: { offset?: number; seq?: number }[] }>("/api/v1/events?limit=1");
  const newest = prism.parts.base.store.reader.prepare("select max(seq) from events").pluck().get();
  assert.equal(newest, again.offsets.events + 1, JSON.stringify(body.data));
});

test("queues of outside deliveries are paused, those of modules too, until they are resumed; the others keep running", async (t) => {
  const prism = await filled(t);
  await prism.services.db.write(async (trx) => {
    const module = { version: "1", path: "/m", state: "active" as const, updatedAt: 1 };
    await trx
      .insertInto("modules")
      .values({ name: "pager", ...module })
      .execute();
  });
  const { file } = await backUp(t, prism);
  await prism.stop();
  const { paused } = await restoreInto(prism.dir, file, { keys: keysOf(prism) });
  assert.deepEqual(paused, ["notification-delivery", "push-notification", "alert", "digest", "module:pager"]);
  await prism.restart();
  const { runner } = prism.parts.offers;
  for (const queue of ["notification-delivery", "push-notification", "alert", "digest", "module:pager"] as const)
    assert.equal(runner.isPaused(queue), true, queue);
  for (const queue of ["event-processing", "timers", "messages"] as const)
    assert.equal(runner.isPaused(queue), false, queue);
});

test("sounds come back as they were; those that came later are kept with the old data", async (t) => {
  const prism = await filled(t);
  const sounds = join(prism.dir, "sounds");
  mkdirSync(join(sounds, "folder"), { recursive: true });
  writeFileSync(join(sounds, "0198c1de.mp3"), "ding");
  writeFileSync(join(sounds, ".hidden"), "nothing of ours");
  const { file, manifest } = await backUp(t, prism);
  assert.deepEqual(valuesOf(manifest.members, "name"), ["prism.db", "sounds/0198c1de.mp3"]);
  writeFileSync(join(sounds, "later.mp3"), "dong");
  await prism.stop();
  const { kept } = await restoreInto(prism.dir, file, { keys: keysOf(prism) });
  assert.deepEqual(readdirSync(sounds), ["0198c1de.mp3"]);
  assert.equal(readFileSync(join(sounds, "0198c1de.mp3"), "utf8"), "ding");
  assert.ok(existsSync(join(kept?.[0] ?? "", "sounds/later.mp3")));
});

test("a database that cannot be read any more is replaced all the same, and kept as it is", async (t) => {
  const prism = await filled(t);
  const { file } = await backUp(t, prism);
  await prism.stop();
  writeFileSync(join(prism.dir, "prism.db"), "what a disk has left of it");
  const { kept } = await restoreInto(prism.dir, file, { keys: keysOf(prism) });
  assert.equal(readFileSync(join(kept?.[0] ?? "", "prism.db"), "utf8"), "what a disk has left of it");
  await prism.restart();
  assert.equal((await prism.get<Verdict>("/api/v1/audit/verify")).body.ok, true);
});

test("a database elsewhere (databaseUrl) is restored there, the rest in the data directory", async (t) => {
  const prism = await filled(t);
  const { file } = await backUp(t, prism);
  const [dataDir, elsewhere] = [temporaryDir(t), temporaryDir(t)];
  cpSync(file, join(elsewhere, "app.db"));
  const databaseFile = join(elsewhere, "app.db");
  const { kept } = await restoreInto(dataDir, file, { keys: keysOf(prism), places: { dataDir, databaseFile } });
  assert.deepEqual(readdirSync(dataDir), ["audit.head"]);
  assert.equal(kept?.length, 1);
  const db = new SqliteDatabase(databaseFile);
  t.after(() => db.close());
  assert.deepEqual(column(db, "select count(*) from events"), [5]);
});
