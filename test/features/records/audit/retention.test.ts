import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import { readAuditHead } from "../../../../src/features/records/audit/audit-head.ts";
import { AuditLog, auditRow, lastAuditSeq, verifyAudit } from "../../../../src/features/records/audit/audit-log.ts";
import { auditSweep } from "../../../../src/features/records/audit/retention.ts";
import { databaseIn, runCli } from "../../../cli/run-cli.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside, openTestStore, type TestStore, temporaryDir } from "../../../helpers/store.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";

const DAY_MS = 86_400_000;
const TODAY = Date.UTC(2026, 6, 1);

interface Trail {
  readonly store: TestStore;
  readonly clock: FakeClock;
  readonly dataDir: string;
  readonly retention: { run(): Promise<number> };
  /** Adds rows that are this many days old. */
  add(rows: number, daysAgo: number): Promise<void>;
  seqs(): number[];
  verify(): ReturnType<typeof verifyAudit>;
}

function trail(t: TestContext, days = 30): Trail {
  const store = openTestStore(t);
  const { database } = store;
  const clock = new FakeClock(TODAY + DAY_MS / 2);
  const dataDir = temporaryDir(t);
  const audit = new AuditLog(database, clock);
  const { sweep } = auditSweep({ audit, dataDir, days: () => days });
  const retention = { run: () => sweep(database, clock.now(), () => false) };
  return {
    store,
    clock,
    dataDir,
    retention,
    async add(rows, daysAgo) {
      await database.write(async (trx) => {
        for (let n = 0; n < rows; n++)
          database.audit(trx, auditRow({ action: "rule.update" }, clock.now() - daysAgo * DAY_MS));
      });
    },
    seqs: () => store.reader.prepare<[], number>("select seq from audit_log order by seq").pluck().all(),
    verify: async () => verifyAudit(database.read, store.auditKey, await lastAuditSeq(database.read)),
  };
}

interface Checkpoint {
  readonly seq: number;
  readonly hash: string;
  readonly removed: number;
}

const checkpoints = (store: TestStore): Checkpoint[] =>
  store.reader
    .prepare<[], string>("select metadata from audit_log where action = 'audit.checkpoint' order by seq")
    .pluck()
    .all()
    .map((text) => JSON.parse(text) as Checkpoint);

/** A plain connection with the triggers out of the way. */
function intruder(t: TestContext, file: string): Sqlite {
  const connection = openBeside(t, file);
  connection.exec("drop trigger audit_log_no_update; drop trigger audit_log_no_delete; drop trigger audit_log_append;");
  return connection;
}

test("S2-88 old rows go, a checkpoint in the same chain names the last of them, and what is left is whole", async (t) => {
  keepsPromise(t, "S2-88");
  const { store, retention, add, seqs, verify } = trail(t);
  await add(5, 40);
  await add(3, 10);
  const [, , , , fifth] = store.reader.prepare<[], { hash: string }>("select hash from audit_log order by seq").all();
  assert.equal(await retention.run(), 5);
  assert.deepEqual(seqs(), [6, 7, 8, 9]);
  assert.deepEqual(checkpoints(store), [{ seq: 5, hash: fifth?.hash, removed: 5 }]);
  assert.deepEqual(await verify(), { ok: true, checked: 4 });
  assert.equal(await retention.run(), 0, "nothing is left to do, and no second checkpoint is written");
  await add(1, 0);
  assert.deepEqual(await verify(), { ok: true, checked: 5 });
});

test("many rows go in slices, each with its checkpoint; the last one accounts for all", async (t) => {
  const { store, retention, add, verify } = trail(t);
  await add(2500, 40);
  await add(1, 1);
  assert.equal(await retention.run(), 2500);
  assert.deepEqual(rowsWith(checkpoints(store), "seq", "removed"), [
    [1000, 1000],
    [2000, 1000],
    [2500, 500],
  ]);
  assert.deepEqual(await verify(), { ok: true, checked: 4 });
});

test("day after day: checkpoints grow old and go, too, and the chain stays whole", async (t) => {
  const { store, clock, retention, add, verify } = trail(t, 3);
  for (let day = 0; day < 20; day++) {
    await add(2, 0);
    await retention.run();
    assert.equal((await verify()).ok, true, `day ${day}`);
    clock.advance(DAY_MS);
  }
  assert.ok(store.reader.prepare("select 1 from audit_log").all().length < 20);
});

for (const { name, rows, removed } of [
  { name: "0 days keep everything", rows: [[3, 4000]], days: 0, removed: 0 },
  {
    name: "whole days: a row of the day that is kept stays",
    rows: [
      [2, 30.4],
      [1, 0],
    ],
    removed: 0,
  },
  { name: "the last row of all stays, however old", rows: [[4, 90]], removed: 3 },
  {
    name: "a row with the time of a clock that was wrong protects the later ones, and no earlier ones",
    rows: [
      [2, 90],
      [1, -900],
      [2, 80],
      [1, 0],
    ],
    removed: 2,
  },
] as readonly { name: string; rows: readonly [number, number][]; days?: number; removed: number }[])
  test(name, async (t) => {
    const { retention, add, verify } = trail(t, name.startsWith("0") ? 0 : 30);
    for (const [count, daysAgo] of rows) await add(count, daysAgo);
    assert.equal(await retention.run(), removed);
    assert.equal((await verify()).ok, true);
  });

test("the row that is noted in audit.head stays until a later one is noted", async (t) => {
  const { store, dataDir, retention, add, seqs } = trail(t);
  await add(6, 40);
  const [third] = store.reader.prepare<[], { hash: string }>("select hash from audit_log where seq = 3").all();
  writeFileSync(join(dataDir, "audit.head"), `3:${third?.hash}\n`);
  assert.equal(await retention.run(), 2);
  assert.deepEqual(seqs().slice(0, 2), [3, 4]);
});

test("a checkpoint and what it accounts for cannot part: refused, everything stays as it was", async (t) => {
  const { store, retention, add, seqs, verify } = trail(t);
  await add(4, 40);
  await add(1, 0);
  const beside = openBeside(t, store.file);
  beside.exec(`create trigger refuse before insert on audit_log when new.action = 'audit.checkpoint'
               begin select raise(abort, 'refused'); end`);
  await assert.rejects(retention.run());
  assert.deepEqual(seqs(), [1, 2, 3, 4, 5]);
  beside.exec("drop trigger refuse");
  assert.throws(() => beside.exec("delete from audit_log where seq = 1"), /append-only/, "the gate is shut");
  assert.equal(await retention.run(), 4);
  assert.equal((await verify()).ok, true);
});

test("rows removed without a checkpoint are detected, also after a valid one", async (t) => {
  for (const [name, sql, verdict] of [
    ["one more than the checkpoint names", "delete from audit_log where seq = 6", "truncated"],
    ["up to the checkpoint", "delete from audit_log where seq < 11", "truncated"],
    ["the checkpoint itself", "delete from audit_log where action = 'audit.checkpoint'", 12],
    ["the checkpoint, changed", "update audit_log set metadata = replace(metadata, '5', '6') where seq = 11", 11],
    ["one in the middle", "delete from audit_log where seq = 8", 9],
    ["the last", "delete from audit_log where seq = 12", "truncated"],
  ] as const)
    await t.test(name, async (t) => {
      const { store, retention, add, verify } = trail(t);
      await add(5, 40);
      await add(5, 10);
      await retention.run();
      await add(1, 0);
      assert.equal((await verify()).ok, true);
      intruder(t, store.file).exec(sql);
      const { ok, truncated, firstBad } = await verify();
      assert.deepEqual([ok, truncated ? "truncated" : firstBad?.seq], [false, verdict]);
    });
});

test("a trail that grows shorter while it is verified is not taken for one that was changed", async (t) => {
  const { store, retention, add, seqs } = trail(t);
  await add(3000, 40);
  await add(1, 0);
  const { read } = store.database;
  let removed = 0;
  /** After the first page has been read, retention overtakes the reading. */
  const overtaken = read.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      if (result.rows.length === 1000 && removed === 0) removed = await retention.run();
      return result;
    },
  });
  const verdict = await verifyAudit(overtaken, store.auditKey, await lastAuditSeq(read));
  assert.deepEqual([removed, verdict], [3000, { ok: true, checked: 4 }]);
  assert.equal(seqs()[0], 3001);
});

test("S2-88 S2-55 the server removes by itself; over HTTP and by doctor the checkpointed chain is whole, and one changed byte is named", async (t) => {
  keepsPromise(t, "S2-88");
  const clock = new FakeClock();
  const dir = temporaryDir(t);
  const settings = { "retention.auditDays": "30", "retention.trustClock": "true" };
  const prism = await startPrism(t, { clock, dir, settings });
  const verify = async () => (await prism.get<Awaited<ReturnType<typeof verifyAudit>>>("/api/v1/audit/verify")).body;
  for (const name of ["one", "two", "three"]) await prism.post("/api/v1/projects", { name });
  const before = countOf(prism, "audit_log");
  clock.advance(40 * DAY_MS);
  await prism.restart();
  await prism.parts.offers.retention.begin();
  await eventually(
    "the old rows are gone",
    () => rowsOf(prism, "select 1 from audit_log where action = 'audit.checkpoint'").length > 0,
  );
  await prism.post("/api/v1/projects", { name: "four" });
  assert.ok(countOf(prism, "audit_log") < before);
  assert.deepEqual(await verify(), { ok: true, checked: countOf(prism, "audit_log") });
  assert.equal(
    rowsOf<{ actor: string }>(prism, "select actor from audit_log where action = 'audit.checkpoint'")[0]?.actor,
    '{"type":"system"}',
  );

  const doctor = async (...args: string[]) => {
    const { stdout } = await runCli(["doctor", "--db", "--json", "--data-dir", dir, ...args], { cwd: dir });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    const found = checks.find(({ name }) => name === "audit");
    return `${found?.status} ${found?.message}`;
  };
  assert.match(await doctor(), /^PASS the chain of \d+ rows is intact$/);
  assert.match(
    await doctor("--anchor", `1:${"0".repeat(64)}`),
    /^WARN .* row 1 of the anchor is older than what is kept$/,
  );
  const head = await readAuditHead(dir);
  assert.match(await doctor("--anchor", `${head?.seq}:${"0".repeat(64)}`), new RegExp(`^FAIL row ${head?.seq} `));

  const [victim] = rowsOf<{ seq: number; id: string }>(
    prism,
    "select seq, id from audit_log where action = 'project.create' order by seq desc",
  );
  assert.ok(victim);
  intruder(t, databaseIn(dir)).prepare("update audit_log set timestamp = timestamp + 1 where seq = ?").run(victim.seq);
  assert.deepEqual((await verify()).firstBad, { seq: victim.seq, id: victim.id });
  assert.match(await doctor(), new RegExp(`^FAIL row ${victim.seq} \\(${victim.id}\\) was changed`));
});
