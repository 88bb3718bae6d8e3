import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateFile, migrateUp } from "../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../src/store/sqlite/migrations.gen.ts";
import { startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";

interface Reply {
  readonly id: string;
  readonly error?: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

const RULE = { condition: "event.type == 'x'", targetUsers: ["me"] };

test("a project has one rule of a name, however it is made, renamed or moved", async (t) => {
  const prism = await startPrism(t);
  const make = (name: string, projectId: string | null = "default") =>
    prism.post<Reply>("/api/v1/rules", { ...RULE, name, projectId });
  const refusal = ({ status, body }: Awaited<ReturnType<typeof make>>) => [
    status,
    body.error?.code,
    body.error?.details?.[0]?.path,
  ];
  const taken = [409, "NAME_TAKEN", "name"];
  await prism.post("/api/v1/projects", { name: "Shop", slug: "shop" });
  const { body: first } = await make("Disk full");
  const again = await make("Disk full");
  assert.deepEqual(refusal(again), taken);
  assert.ok(again.text.includes(first.id), "the answer names the rule that has the name");

  const { status, body: other } = await make("Disk full", "shop");
  assert.equal(status, 201, "another project may have a rule of the name");
  assert.equal((await make("Disk full", null)).status, 201, "and so may the rules of all projects");
  assert.deepEqual(refusal(await make("Disk full", null)), taken);

  const { body: second } = await make("Disk low");
  const change = (id: string, body: object) => prism.put<Reply>(`/api/v1/rules/${id}`, body);
  assert.deepEqual(refusal(await change(second.id, { name: "Disk full" })), taken);
  assert.deepEqual(refusal(await change(other.id, { projectId: "default" })), taken);
  assert.equal((await change(first.id, { name: "Disk full", priority: 3 })).status, 200, "its own name is free");

  const both = await Promise.all([make("At once"), make("At once")]);
  assert.deepEqual(both.map((reply) => reply.status).sort(), [201, 409]);
  assert.equal((await prism.delete(`/api/v1/rules/${first.id}`)).status, 204);
  assert.equal((await make("Disk full")).status, 201, "the name of a deleted rule is free");
});

test("rules with the same name in an old database are renamed, the oldest keeps its name", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  const connection = new SqliteDatabase(file);
  t.after(() => connection.close());
  const earlier = MIGRATIONS.filter(({ name }) => name < "0020");
  migrateUp(connection, earlier);
  connection.exec("insert into projects (id, slug, name, createdAt, updatedAt) values ('p', 'p', 'p', 1, 1)");
  const insert = connection.prepare(
    `insert into rules (id, projectId, name, condition, targetRoles, targetUsers, channels, titleTemplate,
      messageTemplate, deletedAt, createdAt, updatedAt) values (?, ?, ?, 'true', '[]', '[]', '[]', '', '', ?, ?, 1)`,
  );
  const long = "x".repeat(255);
  const rows: readonly [id: string, projectId: string | null, name: string, deletedAt: number | null][] = [
    ["a", "p", "one", null],
    ["b", "p", "one", null],
    ["c", "p", "one (2)", null],
    ["d", "p", "one", 1],
    ["e", null, "one", null],
    ["f", null, "one", null],
    ["g", "p", long, null],
    ["h", "p", long, null],
    ["i", "p", "two", null],
    ["j", "p", "two", null],
    ["k", "p", "two (2)", null],
    ["l", "p", "two (j)", null],
  ];
  for (const [at, [id, projectId, name, deletedAt]] of rows.entries()) insert.run(id, projectId, name, deletedAt, at);
  connection.close();

  assert.deepEqual(migrateFile(file).includes("0020_unique_rule_names"), true);
  const migrated = new SqliteDatabase(file, { readonly: true });
  t.after(() => migrated.close());
  const names = migrated.prepare("select id, name from rules order by id").raw().all() as [string, string][];
  const [, last] = names.pop() ?? [];
  assert.match(last ?? "", /^two \(j\) \([0-9a-f]{32}\)$/);
  assert.deepEqual(names, [
    ["a", "one"],
    ["b", "one (b)"],
    ["c", "one (2)"],
    ["d", "one"],
    ["e", "one"],
    ["f", "one (2)"],
    ["g", long],
    ["h", `${"x".repeat(240)} (2)`],
    ["i", "two"],
    ["j", "two (j)"],
    ["k", "two (2)"],
  ]);
});
