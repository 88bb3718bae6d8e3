import assert from "node:assert/strict";
import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { AUDIT_KEY_PLACE } from "../../../../src/store/sealed-settings.ts";
import { databaseIn, RunningCli, runCli } from "../../../cli/run-cli.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";

interface Trail {
  readonly prism: TestPrism;
  readonly log: LogLines;
  readonly headFile: string;
}

/** A server with some rows in its trail, whose head was noted by a restart. */
async function servedTrail(t: TestContext): Promise<Trail> {
  const log = new LogLines();
  const prism = await startPrism(t, { log, dir: temporaryDir(t) });
  for (const name of ["one", "two", "three", "four", "five"]) await prism.post("/api/v1/projects", { name });
  await prism.restart();
  return { prism, log, headFile: join(prism.dir, "audit.head") };
}

/**
 * What an attacker without the encryption key does to a database: the last five rows go, with every
 * trace in it. @returns the head that is left
 */
function cutOff(dir: string): string {
  const db = new SqliteDatabase(databaseIn(dir));
  try {
    for (const name of ["no_update", "no_delete", "append"]) db.exec(`drop trigger audit_log_${name}`);
    db.exec(`delete from audit_log where seq > (select max(seq) - 5 from audit_log);
             update sqlite_sequence set seq = (select max(seq) from audit_log) where name = 'audit_log'`);
    return String(db.prepare("select seq || ':' || hash from audit_log order by seq desc limit 1").pluck().get());
  } finally {
    db.close();
  }
}

async function auditCheck(dir: string, key: Uint8Array): Promise<string> {
  const env = { PRISM_ENCRYPTION_KEY: Buffer.from(key).toString("base64") };
  const { stdout } = await runCli(["doctor", "--db", "--json", "--data-dir", dir], { cwd: dir, env });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  const found = checks.find(({ name }) => name === "audit");
  return `${found?.status} ${found?.message}`;
}

const errorsOf = ({ log }: Trail): string[] =>
  log.lines.filter(({ level }) => level === "error").map(({ message }) => message);

async function warningsOf({ prism }: Trail): Promise<string> {
  return (await prism.get<{ warnings: string[] }>("/api/v1/status")).body.warnings.join("\n");
}

for (const { name, hide, says } of [
  { name: "audit.head stays", hide: () => undefined, says: /lacks row|last rows are (gone|missing)|rows are gone/ },
  { name: "audit.head is removed", hide: (file: string) => rmSync(file), says: /audit\.head is missing or damaged/ },
  {
    name: "audit.head is written from the cut database",
    hide: (file: string, head: string) => writeFileSync(file, `${head}\n`),
    says: /audit\.head was not written by a server/,
  },
  {
    name: "audit.head is written from the cut database with the old signature",
    hide: (file: string, head: string) =>
      writeFileSync(file, `${head}:${readFileSync(file, "utf8").trim().split(":")[2]}\n`),
    says: /audit\.head was not written by a server/,
  },
])
  test(`last rows that were cut off are found by doctor, the start, status and verify: ${name}`, async (t) => {
    const trail = await servedTrail(t);
    const { prism, headFile } = trail;
    const key = prism.parts.base.config.secrets.encryptionKey;
    await prism.stop();
    hide(headFile, cutOff(prism.dir));
    const evidence = readHead(headFile);
    const found = await auditCheck(prism.dir, key);
    assert.match(found, /^FAIL /);
    assert.match(found, says);
    assert.deepEqual(errorsOf(trail), []);

    await prism.restart();
    assert.match(errorsOf(trail).join("\n"), says);
    assert.match(await warningsOf(trail), says);
    const { body } = await prism.get<{ ok: boolean }>("/api/v1/audit/verify");
    assert.equal(body.ok, false);
    await prism.stop();
    assert.equal(readHead(headFile), evidence, "what was found stays as evidence");
  });

function readHead(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

test("the plain head of an earlier version is signed once, and a trail that it contradicts is not", async (t) => {
  const trail = await servedTrail(t);
  const { prism, headFile } = trail;
  const key = prism.parts.base.config.secrets.encryptionKey;
  const { box } = prism.parts.base;
  await prism.stop();
  const signed = readFileSync(headFile, "utf8");
  const plain = signed.replace(/:[0-9a-f]{64}\n$/, "\n");
  const asBefore = (head: string): void => {
    const db = new SqliteDatabase(databaseIn(prism.dir));
    const stored = db.prepare<[], Buffer>("select value from settings where key = 'audit.key'").pluck().get();
    const unmarked = box.open(AUDIT_KEY_PLACE, stored ?? Buffer.alloc(0)).subarray(0, 32);
    db.prepare("update settings set value = ? where key = 'audit.key'").run(box.seal(AUDIT_KEY_PLACE, unmarked));
    db.close();
    writeFileSync(headFile, head);
  };
  asBefore(`2:${"f".repeat(64)}\n`);
  assert.match(await auditCheck(prism.dir, key), /^FAIL row 2 /);
  asBefore(plain);
  assert.match(await auditCheck(prism.dir, key), /^PASS /);
  await prism.restart();
  await prism.stop();
  assert.deepEqual(errorsOf(trail), []);
  assert.match(readFileSync(headFile, "utf8"), /^\d+:[0-9a-f]{64}:[0-9a-f]{64}\n$/);
  writeFileSync(headFile, plain);
  assert.match(await auditCheck(prism.dir, key), /^FAIL audit\.head was not written by a server/);
});

test("serve --accept-audit records the problems of the trail and continues from there", async (t) => {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  const serve = async (flags: readonly string[], until: RegExp): Promise<void> => {
    const server = new RunningCli(t, ["serve", "--port", "0", ...flags], { cwd });
    await server.until(until);
    await server.until(/Prism is ready/);
    server.signal("SIGTERM");
    assert.equal(await server.ended(), 0);
  };
  await serve([], /Prism is ready/);
  rmSync(join(data, "audit.head"));
  await serve([], /audit\.head is missing or damaged.*--accept-audit/);
  await serve(["--accept-audit"], /Prism is ready/);
  const { stdout } = await runCli(["doctor", "--db", "--json"], { cwd });
  assert.match(stdout, /"name":"audit","status":"PASS"/);
  const db = new SqliteDatabase(databaseIn(data), { readonly: true });
  t.after(() => db.close());
  const accepted = db.prepare("select metadata from audit_log where action = 'audit.accept'").pluck().all();
  assert.equal(accepted.length, 1);
  assert.match(String(accepted[0]), /audit\.head is missing/);
});

test("the name of a new audit.head is on disk, and its content before", async (t) => {
  const { prism, headFile } = await servedTrail(t);
  const handle = await open(headFile, "r");
  const prototype = Object.getPrototypeOf(handle) as { sync(this: { fd: number }): Promise<void> };
  await handle.close();
  const synced: string[] = [];
  const sync = prototype.sync;
  t.mock.method(prototype, "sync", function (this: { fd: number }) {
    synced.push(`${readlinkSync(`/proc/self/fd/${this.fd}`)} ${readFileSync(headFile, "utf8").split(":")[0]}`);
    return sync.call(this);
  });
  const before = readFileSync(headFile, "utf8").split(":")[0];
  await prism.post("/api/v1/projects", { name: "six" });
  await prism.stop();
  const after = readFileSync(headFile, "utf8").split(":")[0];
  assert.notEqual(after, before);
  const found = synced.filter((line) => line.startsWith(`${headFile}.new `) || line.startsWith(`${prism.dir} `));
  assert.deepEqual(found, [`${headFile}.new ${before}`, `${prism.dir} ${after}`]);
});
