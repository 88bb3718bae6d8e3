import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { databaseIn, runCli } from "../../cli/run-cli.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { column, openBeside, temporaryDir } from "../../helpers/store.ts";
import { rowsOf } from "../../helpers/tables.ts";

const PATH = "/api/v1/heartbeats";

interface Made {
  readonly id: string;
  readonly pingUrl: string;
  readonly pushUrl: string;
}

const keyed = (key: Uint8Array) => ({ encryptionKey: Buffer.from(key).toString("base64") });
const pathOf = (url: string): string => new URL(url).pathname;

async function ping(prism: TestPrism, path: string): Promise<number> {
  return (await prism.get(path, { token: null })).status;
}

/** Fails if a file of the database has one of the texts, also without dashes. */
function assertAbsent(dir: string, secrets: readonly string[]): void {
  const files = readdirSync(dir).filter((name) => name.startsWith("prism.db"));
  assert.ok(files.includes("prism.db"));
  for (const name of files) {
    const bytes = readFileSync(join(dir, name));
    for (const secret of secrets.flatMap((each) => [each, each.replaceAll("-", "")]))
      assert.ok(!bytes.includes(secret), `${name} has ${secret}`);
  }
}

test("no file of the database has the id or the key of a ping URL, and every form of it is found", async (t) => {
  const prism = await startPrism(t);
  const repeated = { headers: { "Idempotency-Key": "k" } };
  const { body: made } = await prism.post<Made>(PATH, { name: "job" }, repeated);
  const again = await prism.post<Made>(PATH, { name: "job" }, repeated);
  assert.deepEqual([again.status, again.body, again.headers.get("idempotency-replayed")], [201, made, "true"]);
  const { body: key } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  assert.equal((await prism.get<{ pingKey: string }>(`${PATH}/key`)).body.pingKey, key.pingKey);
  const uuid = pathOf(made.pingUrl).slice("/ping/".length);
  for (const path of [pathOf(made.pingUrl), pathOf(made.pushUrl), `/ping/${key.pingKey}/job`])
    assert.equal(await ping(prism, path), 200, path);
  assert.equal(await ping(prism, `/ping/${key.pingKey}/other?create=1`), 201);
  assert.equal(await ping(prism, `/ping/${uuid}/fail`), 200);
  const { body: check } = await prism.get<{ uuid: string; ping_url: string }>(`/api/v3/checks/${uuid}`);
  assert.deepEqual([check.uuid, check.ping_url], [uuid, made.pingUrl]);
  const [row] = rowsOf<{ pingHash: string; uniqueKey: string }>(
    prism,
    "select pingHash, uniqueKey from heartbeats where slug = 'job'",
  );
  assert.equal(row?.uniqueKey, createHash("sha1").update(uuid.replaceAll("-", "").slice(0, 16)).digest("hex"));
  assert.equal((await prism.get<{ uuid: string }>(`/api/v3/checks/${row.uniqueKey}`)).body.uuid, uuid);
  for (const stored of [row.pingHash, made.id]) assert.equal(await ping(prism, `/ping/${stored}/job`), 404);
  const { body: fresh } = await prism.post<Made>(`${PATH}/${made.id}/rotate`, {});
  assert.notEqual(fresh.pingUrl, made.pingUrl);
  assert.deepEqual([await ping(prism, pathOf(made.pingUrl)), await ping(prism, pathOf(fresh.pingUrl))], [404, 200]);
  const secrets = [uuid, pathOf(fresh.pingUrl).slice("/ping/".length), key.pingKey];
  assertAbsent(prism.dir, secrets);
  await prism.stop();
  assertAbsent(prism.dir, secrets);
});

test("after a rotation of the encryption key pings are found and their URLs shown with the new key alone", async (t) => {
  const [old, young] = [Buffer.alloc(32, "an old key "), Buffer.alloc(32, "a young key ")];
  const dir = temporaryDir(t);
  const before = await startPrism(t, { dir, settings: keyed(old) });
  const { body: made } = await before.post<Made>(PATH, { name: "job" });
  const { body: key } = await before.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  await before.stop();
  const { status, stderr } = await runCli(["key", "rotate", "--encryption", "--json"], {
    cwd: dir,
    env: {
      PRISM_DATA_DIR: dir,
      PRISM_ENCRYPTION_KEY: young.toString("base64"),
      PRISM_PREVIOUS_ENCRYPTION_KEYS: old.toString("hex"),
    },
  });
  assert.equal(status, 0, stderr);
  const audited = column(
    openBeside(t, databaseIn(dir)),
    "select json_extract(metadata, '$.column') from audit_log where action = 'key.rotate'",
  );
  for (const name of ["heartbeats.sealedPing", "heartbeat_keys.sealedPingKey"]) assert.ok(audited.includes(name), name);
  const after = await startPrism(t, { dir, settings: keyed(young) });
  assert.equal(pathOf((await after.get<Made>(`${PATH}/${made.id}`)).body.pingUrl), pathOf(made.pingUrl));
  assert.equal((await after.get<{ pingKey: string }>(`${PATH}/key`)).body.pingKey, key.pingKey);
  assert.deepEqual(
    [await ping(after, pathOf(made.pingUrl)), await ping(after, `/ping/${key.pingKey}/job`)],
    [200, 200],
  );
});
