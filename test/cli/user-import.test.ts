import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import bcrypt from "bcrypt";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { makeDatabase, runCli, runJson } from "./run-cli.ts";

const env = { PRISM_AUTH_BCRYPT_COST: "4" };
const HASH = bcrypt.hashSync("correct horse battery", 4);
const CSV = `externalId,username,passwordHash,roles\n1,ann,${HASH},Viewer;User\n2,bob,,\n`;

test("prism user import brings a file in without a server, and reads what export users writes", async (t) => {
  const cwd = temporaryDir(t);
  const options = { cwd, env };
  await makeDatabase(options);
  writeFileSync(join(cwd, "users.csv"), CSV);
  const dry = await runCli(["user", "import", "users.csv", "--dry-run"], options);
  assert.deepEqual([dry.status, dry.stderr], [0, "Would be: 2 created, 0 updated, 0 unchanged, 0 skipped\n"]);
  assert.equal((await runJson<{ created: number }>(["user", "import", "users.csv"], options)).created, 2);
  assert.equal((await runJson<{ unchanged: number }>(["user", "import", "users.csv"], options)).unchanged, 2);

  const wrong = `${CSV}3,ann,,\n4,x,,Nope\n`;
  const refused = await runCli(["user", "import", "-", "--existing", "update"], { ...options, input: wrong });
  assert.equal(refused.status, 7);
  assert.deepEqual(refused.stderr.trimEnd().split("\n").slice(0, 3), [
    "prism: nothing was imported, because this is not valid (VALIDATION_FAILED):",
    "  line 4 (ann): username: line 2 has the same",
    "  line 5 (x): username: must be 2 to 64 of a-z, 0-9, dot, dash, underscore, and not me",
  ]);
  assert.ok(!refused.stderr.includes(HASH));

  writeFileSync(join(cwd, "latin1.csv"), Buffer.from("username,name\nj\xf6rg,J\xf6rg\n", "latin1"));
  const latin1 = await runCli(["user", "import", "latin1.csv"], options);
  assert.deepEqual([latin1.status, latin1.stderr], [7, "prism: the file is not UTF-8; save it as UTF-8\n"]);

  for (const format of ["csv", "ndjson", "json"]) {
    const exported = await runCli(["export", "users", "--format", format], options);
    const again = { ...options, input: exported.stdout };
    const { unchanged } = await runJson<{ unchanged: number }>(["user", "import", "-"], again);
    // With the administrator that development makes.
    assert.equal(unchanged, 3, format);
  }
});

test("prism user import sends the file to a server that is named, and keeps its lines", async (t) => {
  const prism = await startPrism(t);
  const online = { cwd: temporaryDir(t), env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = (input: string) => runCli(["user", "import", "-", "--format", "csv"], { ...online, input });
  assert.equal((await run(CSV)).status, 0);
  assert.match((await run(`${CSV}\n3,ann,,\n`)).stderr, /\n {2}line 5 \(ann\): username: line 2 has the same\n/);
  const { body } = await prism.get<{ data: { externalId: string | null }[] }>("/api/v1/users?q=ann");
  assert.deepEqual(valuesOf(body.data, "externalId"), ["1"]);
});

test("prism user create takes an id, an external id and a phone number", async (t) => {
  const options = { cwd: temporaryDir(t), env };
  await makeDatabase(options);
  const id = "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60";
  const args = ["user", "create", "--id", id, "--external-id", "1", "--phone", "+49 30 1234567"];
  const user = await runJson<Record<string, unknown>>(args, options);
  assert.deepEqual([user["id"], user["externalId"], user["phone"]], [id, "1", "+49301234567"]);
  assert.equal((await runCli(args, options)).status, 7);
  assert.equal((await runCli(["user", "create", "--id", "1", "--username", "ann"], options)).status, 7);
  assert.equal((await runCli(["user", "create"], options)).status, 2);
});
