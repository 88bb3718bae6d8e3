import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { sql } from "kysely";
import { databaseIn, runCli, runJson } from "../../../cli/run-cli.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { column, openBeside } from "../../../helpers/store.ts";

interface Doctor {
  readonly checks: { readonly name: string; readonly status: string; readonly message: string }[];
}

test("a module's table with capital letters comes back from a backup", async (t) => {
  const prism = await startPrism(t);
  const { db } = prism.services;
  await db.write((trx) => trx.schema.createTable("module_shop_dailyTotals").addColumn("day", "text").execute());
  await db.write((trx) => sql`insert into module_shop_dailyTotals values ('monday')`.execute(trx));
  const at = { cwd: prism.dir };
  await runJson(["backup", "a.tar", "--verify", "--data-dir", prism.dir], at);
  await prism.stop();
  await runJson(["restore", "a.tar", "--yes", "--data-dir", prism.dir], at);
  assert.deepEqual(column(openBeside(t, databaseIn(prism.dir)), "select day from module_shop_dailyTotals"), ["monday"]);
});

test("a schema that no restore would take is named by doctor, backup and the next start, and costs no older archive", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const at = { cwd: prism.dir };
  const backup = ["backup", "--keep", "1", "--data-dir", prism.dir];
  await runJson(backup, at);
  const archives = readdirSync(join(prism.dir, "backups"));
  await prism.stop();
  const beside = openBeside(t, databaseIn(prism.dir));
  beside.exec("alter table tasks add column colour text");
  beside.close();

  const refused = await runCli(backup, at);
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /table tasks is not what the migrations make; a restore would refuse it/);
  assert.deepEqual(readdirSync(join(prism.dir, "backups")), archives);
  const doctor = await runCli(["doctor", "--db", "--json", "--data-dir", prism.dir], at);
  assert.equal(doctor.status, 8);
  const { checks } = JSON.parse(doctor.stdout) as Doctor;
  assert.match(checks.find(({ name, status }) => name === "schema" && status === "FAIL")?.message ?? "", /table tasks/);
  await prism.restart();
  assert.ok(log.lines.some(({ fields }) => /table tasks/.test(String(fields["foreign"]))));
});
