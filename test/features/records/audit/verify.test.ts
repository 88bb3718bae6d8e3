import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import type { AuditVerification as Verdict } from "../../../../src/client/api-types.gen.ts";
import { auditRow } from "../../../../src/features/records/audit/audit-log.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";

const verify = async (prism: TestPrism, query = ""): Promise<Verdict> =>
  (await prism.get<Verdict>(`/api/v1/audit/verify${query}`)).body;

/** A server whose trail has some rows by real requests. */
async function withTrail(t: TestContext, options: PrismOptions = {}): Promise<TestPrism> {
  const prism = await startPrism(t, options);
  for (const name of ["one", "two", "three"]) await prism.post("/api/v1/projects", { name });
  return prism;
}

/** An attacker with the file: a plain connection without the triggers. */
function intruder(t: TestContext, prism: TestPrism): Sqlite {
  const connection = openBeside(t, join(prism.dir, "prism.db"));
  connection.exec("drop trigger audit_log_no_update; drop trigger audit_log_no_delete; drop trigger audit_log_append;");
  return connection;
}

test("an untouched trail is whole, and so is each part of it", async (t) => {
  const prism = await withTrail(t);
  assert.deepEqual(await verify(prism), { ok: true, checked: countOf(prism, "audit_log") });
  const now = Date.now();
  assert.deepEqual(await verify(prism, `?from=${new Date(now + 3_600_000).toISOString()}`), { ok: true, checked: 0 });
  assert.deepEqual(await verify(prism, `?to=${new Date(now - 3_600_000).toISOString()}`), { ok: true, checked: 0 });
});

test("one byte changed in the file is found, and the row of it is named", async (t) => {
  const prism = await withTrail(t);
  const trail = rowsOf<{ seq: number; id: string; action: string }>(prism, "select * from audit_log order by seq");
  const victim = trail[3];
  assert.ok(victim);
  intruder(t, prism)
    .prepare("update audit_log set action = substr(action, 1, length(action) - 1) || 'X' where seq = ?")
    .run(victim.seq);
  assert.deepEqual(await verify(prism), { ok: false, checked: 3, firstBad: { seq: victim.seq, id: victim.id } });
  assert.equal((await prism.get("/api/v1/audit")).status, 200, "what is there can still be read");
});

test("missing last rows are noticed, though what is left is a chain", async (t) => {
  const prism = await withTrail(t);
  const rows = countOf(prism, "audit_log");
  intruder(t, prism).exec(`delete from audit_log where seq > ${rows - 2}`);
  assert.deepEqual(await verify(prism), { ok: false, checked: rows - 2, truncated: true });
});

test("audit.head, outside the database, finds rows that were cut off together with the database's own count", async (t) => {
  const prism = await withTrail(t);
  await prism.restart();
  const head = readFileSync(join(prism.dir, "audit.head"), "utf8");
  const [, seq] = /^(\d+):[0-9a-f]{64}:[0-9a-f]{64}\n$/.exec(head) ?? [];
  const rows = Number(seq);
  assert.ok(rows > 3, head);
  const connection = intruder(t, prism);
  connection.exec(`delete from audit_log where seq >= ${rows - 1};
                   update sqlite_sequence set seq = ${rows - 2} where name = 'audit_log'`);
  assert.deepEqual(await verify(prism), { ok: false, checked: rows - 2, truncated: true });
});

test("audit.head detects a chain that was rewritten with the key", async (t) => {
  const prism = await withTrail(t);
  await prism.restart();
  const file = join(prism.dir, "audit.head");
  const [seq] = readFileSync(file, "utf8").split(":");
  writeFileSync(file, `${seq}:${"0".repeat(64)}\n`);
  const [row] = rowsOf<{ id: string }>(prism, "select id from audit_log where seq = ?", Number(seq));
  const { ok, firstBad } = await verify(prism);
  assert.deepEqual([ok, firstBad], [false, { seq: Number(seq), id: row?.id }]);
});

test("the head goes to audit.head and to the log at start and stop; one that the log contradicts stays as evidence", async (t) => {
  const log = new LogLines();
  const prism = await withTrail(t, { log });
  const noted = () => log.lines.filter(({ message }) => message === "head of the audit chain");
  const started = noted().length;
  await prism.restart();
  assert.equal(noted().length, started + 2, "at the stop and at the start");
  const file = join(prism.dir, "audit.head");
  writeFileSync(file, `2:${"f".repeat(64)}\n`);
  await prism.restart();
  assert.equal(readFileSync(file, "utf8"), `2:${"f".repeat(64)}\n`);
  assert.ok(log.lines.some(({ level, message }) => level === "error" && message.includes("audit.head")));
});

test("a clock that was set back does not break the chain, and a part of it is checked without a hole", async (t) => {
  const prism = await startPrism(t);
  const start = Date.now() + 3_600_000;
  for (const ms of [0, 5000, 1000, 9000])
    await prism.parts.base.database.write(async (trx) =>
      prism.parts.base.database.audit(trx, auditRow({ action: "clock.test" }, start + ms)),
    );
  assert.equal((await verify(prism)).ok, true);
  const part = await verify(
    prism,
    `?from=${new Date(start + 500).toISOString()}&to=${new Date(start + 2000).toISOString()}`,
  );
  assert.deepEqual(
    part,
    { ok: true, checked: 2 },
    "the row between the first and the last of that time is checked with them",
  );
  const wide = await verify(
    prism,
    `?from=${new Date(start).toISOString()}&to=${new Date(start + 10_000).toISOString()}`,
  );
  assert.deepEqual(wide, { ok: true, checked: 4 });
});

test("while rows are added the trail that is verified is whole", async (t) => {
  const prism = await withTrail(t);
  let isAdding = true;
  const adding = (async () => {
    for (let n = 0; isAdding && n < 500; n++) await prism.parts.base.audit.record({ action: "load.row" });
  })();
  await eventually("some rows are there", () => countOf(prism, "audit_log") > 20);
  for (let n = 0; n < 5; n++) assert.equal((await verify(prism)).ok, true);
  isAdding = false;
  await adding;
  assert.deepEqual(await verify(prism), { ok: true, checked: countOf(prism, "audit_log") });
});
