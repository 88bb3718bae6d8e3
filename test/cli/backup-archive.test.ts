import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { sha256Hex } from "../../src/core/crypto/tokens.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { ChildOutput } from "../helpers/child-output.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { leftovers, type Made, madeDir, users } from "./backup-support.ts";
import { commandLine, databaseIn, eachCase, RunningCli, runCli, runJson } from "./run-cli.ts";

const PASSPHRASE = "correct horse battery";

test("--keep removes the oldest archives that Prism named, and no other file", async (t) => {
  const { cwd, data } = madeDir(t);
  const kept = join(cwd, "kept");
  mkdirSync(kept);
  const names = ["prism-20260101T000000Z.tar", "prism-20260102T000000Z.tar", "prism-20991231T000000Z.tar"];
  const others = ["prism.tar", "notes.txt", "prism-20260101T000000Z.tar.gpg", "prism-2026.tar"];
  for (const name of [...names, ...others]) writeFileSync(join(kept, name), "");
  mkdirSync(join(kept, "prism-20250101T000000Z.tar"));
  const { file, removed } = await runJson<Made>(["backup", kept, "--keep", "2", "--data-dir", data], { cwd });
  assert.deepEqual(removed, ["prism-20260102T000000Z.tar", "prism-20260101T000000Z.tar"]);
  const left = readdirSync(kept).map((name) => join(kept, name));
  const expected = [...others, "prism-20991231T000000Z.tar", "prism-20250101T000000Z.tar"].map((name) =>
    join(kept, name),
  );
  assert.deepEqual(left.sort(), [...expected, file].sort(), "the one just made stays, whatever the clock says");
});

test("what cannot be done is said, with its exit code, and leaves nothing", async (t) => {
  const { cwd, data, archive } = madeDir(t);
  const before = readdirSync(cwd);
  writeFileSync(join(cwd, "garbage.tar"), "no archive ".repeat(1000));
  writeFileSync(join(cwd, "cut.tar"), readFileSync(archive).subarray(0, 600));
  const other = { PRISM_ENCRYPTION_KEY: Buffer.alloc(32, "some other key").toString("base64") };
  await eachCase(
    t,
    "refused",
    [
      { name: "backup over a file that is there", args: ["backup", archive], status: 7, says: /is there already/ },
      { name: "backup over the database", args: ["backup", "data/prism.db"], status: 7, says: /is there already/ },
      { name: "backup into no directory", args: ["backup", "nowhere/a.tar"], status: 1, says: /there is no directory/ },
      {
        name: "backup of nothing",
        args: ["backup", "--data-dir", "nowhere"],
        status: 4,
        says: /no database/,
        env: other,
      },
      {
        name: "backup with too little room",
        args: ["backup", "a.tar"],
        status: 1,
        says: /not enough room/,
        env: { PRISM_MIN_FREE_BYTES: "1000000000000000" },
      },
      {
        name: "backup with another key",
        args: ["backup", "a.tar"],
        status: 3,
        says: /encryption key is not the one/,
        env: other,
      },
      {
        name: "backup of a server",
        args: ["backup", "--url", "http://127.0.0.1:1"],
        status: 2,
        says: /takes no --url/,
      },
      {
        name: "--keep with a name of one's own",
        args: ["backup", "a.tar", "--keep", "3"],
        status: 2,
        says: /--keep needs an existing directory, and .*a\.tar is not one/,
      },
      { name: "--keep 0", args: ["backup", "--keep", "0"], status: 2, says: /from 1 on/ },
      {
        name: "a short passphrase",
        args: ["backup", "a.tar", "--include-secrets", "--stdin"],
        status: 7,
        says: /fewer than 12/,
        input: "short",
      },
      {
        name: "no terminal for a passphrase",
        args: ["backup", "a.tar", "--include-secrets"],
        status: 2,
        says: /--stdin/,
      },
      { name: "--stdin for nothing", args: ["backup", "a.tar", "--stdin"], status: 2, says: /--include-secrets/ },
      { name: "restore of no file", args: ["restore", "none.tar", "--yes"], status: 6, says: /there is no archive/ },
      { name: "restore of garbage", args: ["restore", "garbage.tar", "--yes"], status: 7, says: /damaged/ },
      { name: "restore unasked", args: ["restore", archive], status: 2, says: /; --yes/ },
      {
        name: "restore under another key",
        args: ["restore", archive, "--yes"],
        status: 3,
        says: /not configured/,
        env: other,
      },
      {
        name: "restore into a full directory",
        args: ["restore", archive, "--to", "data"],
        status: 7,
        says: /is not empty/,
      },
      {
        name: "restore of keys that are not there",
        args: ["restore", archive, "--yes", "--include-secrets", "--stdin"],
        status: 7,
        says: /carries no keys/,
        input: PASSPHRASE,
      },
      {
        name: "--check of a truncated archive",
        args: ["restore", "cut.tar", "--check"],
        status: 8,
        says: /its end is missing, after 600 bytes/,
      },
      { name: "--check of garbage", args: ["restore", "garbage.tar", "--check"], status: 8, says: /damaged/ },
      {
        name: "--check under another key",
        args: ["restore", archive, "--check"],
        status: 8,
        says: /not configured/,
        env: other,
      },
      {
        name: "--check with --to",
        args: ["restore", archive, "--check", "--to", "x"],
        status: 2,
        says: /without --to/,
      },
    ] as const,
    async (c) => {
      const options = { cwd, ...("env" in c ? { env: c.env } : {}), ...("input" in c ? { input: c.input } : {}) };
      const { status, stdout, stderr } = await runCli(c.args, options);
      assert.deepEqual([status, stdout], [c.status, ""], stderr);
      assert.match(stderr, c.says);
    },
  );
  // The executable unpacks its addons into the home directory.
  const found = readdirSync(cwd).filter((name) => name !== ".cache");
  assert.deepEqual(found.sort(), [...before, "garbage.tar", "cut.tar"].sort());
  assert.deepEqual(users(data), ["ann"]);
  assert.deepEqual(leftovers(cwd, data), []);
});

test("after a restore one command resumes all queues, and queues of workers that are not used are not listed", async (t) => {
  const { cwd, archive } = madeDir(t);
  await runCli(["restore", archive, "--yes"], { cwd });
  const doctor = await runCli(["doctor"], { cwd, env: { PORT: "0" } });
  const [, hint = ""] = /paused: .*; prism (queue resume --all) runs their jobs$/m.exec(doctor.stdout) ?? [];
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, url = ""] = await server.until(/Prism is ready: (http:\/\/[^:]+:\d+)/);
  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as { token: string };
  const env = { PRISM_URL: url, PRISM_TOKEN: token };
  const namesOf = ({ queues }: { queues: { name: string; paused: boolean }[] }) => queues.map(({ name }) => name);
  const before = await runJson<{ queues: { name: string; paused: boolean }[] }>(["queue", "status"], { cwd, env });
  const found = namesOf(before).filter((name) => name.startsWith("workers:"));
  assert.deepEqual(found, []);
  const paused = before.queues.filter((queue) => queue.paused).map(({ name }) => name);
  assert.deepEqual(paused, ["notification-delivery", "push-notification", "alert", "digest"]);

  const args = hint.split(" ");
  assert.deepEqual(namesOf(await runJson(args, { cwd, env })), paused);
  const after = await runJson<{ queues: { paused: boolean }[] }>(["queue", "status"], { cwd, env });
  assert.ok(after.queues.every((queue) => !queue.paused));
  assert.equal((await runCli(args, { cwd, env })).stdout, "no queue is paused\n");
  assert.match(
    (await runCli(["queue", "resume"], { cwd, env })).stderr,
    /^prism: give either --queue <name> or --all\n$/,
  );
});

const OLDEST = "0066_oncall_link_makers";

test("an archive of an older schema is upgraded, and a database with an older schema can be backed up", async (t) => {
  const { cwd, data, archive } = madeDir(t);
  await runJson(["migrate", "reset", "--yes"], { cwd });
  // As an older version of the program has left it.
  const db = new SqliteDatabase(databaseIn(data));
  db.exec("pragma foreign_keys = off");
  // That of 0.2.0: an earlier one is refused.
  const first = MIGRATIONS.slice(0, MIGRATIONS.findIndex(({ name }) => name === OLDEST) + 1);
  for (const { type, name } of db
    .prepare<[], { type: string; name: string }>(
      "select type, name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
    )
    .all())
    db.exec(`drop ${type} ${name}`);
  for (const { sql } of first) db.exec(sql);
  db.exec(
    "create table migrations (name text primary key, checksum text not null, appliedAt integer not null) strict, without rowid",
  );
  const record = db.prepare("insert into migrations values (?, ?, 1)");
  for (const { name, sql } of first) record.run(name, sha256Hex(sql));
  db.close();
  const old = await runJson<Made>(["backup", "old.tar", "--verify"], { cwd });
  assert.equal(old.schema, OLDEST);
  await runJson(["restore", archive, "--yes"], { cwd });
  const { migrated } = await runJson<{ migrated: string[] }>(["restore", "old.tar", "--yes"], { cwd });
  assert.deepEqual(migrated, valuesOf(MIGRATIONS.slice(first.length), "name"));
  assert.equal((await runCli(["doctor", "--db"], { cwd })).status, 0);
});

test("--include-secrets carries the keys under a passphrase: with it the data lives elsewhere, without or with a wrong one it does not", async (t) => {
  const { cwd, data } = madeDir(t);
  const secret = ["--include-secrets", "--stdin"];
  await runJson(["backup", "with-keys.tar", "--verify", ...secret], { cwd, input: `${PASSPHRASE}\n` });
  const { encryptionKey, jwtSecret } = JSON.parse(readFileSync(join(data, "secrets.json"), "utf8"));
  const text = readFileSync(join(cwd, "with-keys.tar"), "latin1");
  for (const secretText of [encryptionKey, jwtSecret, PASSPHRASE]) assert.ok(!text.includes(secretText));
  const elsewhere = temporaryDir(t);
  cpSync(join(cwd, "with-keys.tar"), join(elsewhere, "with-keys.tar"));
  const restore = (args: readonly string[], input = "") =>
    runCli(["restore", "with-keys.tar", "--to", "new", ...args], { cwd: elsewhere, input });
  const without = await restore([]);
  assert.deepEqual([without.status, /encryptionKey/.test(without.stderr)], [3, true], without.stderr);
  const wrong = await restore(secret, "incorrect horse battery");
  assert.deepEqual([wrong.status, /does not open/.test(wrong.stderr)], [5, true], wrong.stderr);
  const right = await restore(secret, PASSPHRASE);
  assert.equal(right.status, 0, right.stderr);
  const kept = join(elsewhere, "new/secrets.json");
  assert.deepEqual(JSON.parse(readFileSync(kept, "utf8")), { jwtSecret, encryptionKey });
  assert.equal(statSync(kept).mode & 0o777, 0o600);
  const doctor = await runCli(["doctor", "--db", "--data-dir", "new"], { cwd: elsewhere });
  assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr);
});

test("a restore that was killed when its data counted is finished by the next command, whichever it is", async (t) => {
  const { cwd, data, archive } = madeDir(t);
  await runJson(["restore", archive, "--to", "new"], { cwd });
  await runJson(["user", "create", "--username", "late"], { cwd });
  // Files left by a power failure right after the marker.
  const staged = join(data, ".restore-1.partial");
  mkdirSync(staged);
  cpSync(join(cwd, "new/prism.db"), join(staged, "prism.db"));
  cpSync(join(cwd, "new/audit.head"), join(staged, "audit.head"));
  writeFileSync(
    join(data, "restore.pending"),
    JSON.stringify({ staged: ".restore-1.partial", kept: "x.before-restore" }),
  );
  const looked = await runCli(["doctor", "--json"], { cwd, env: { PORT: "0" } });
  assert.match(looked.stdout, /a restore was interrupted/);
  const listed = await runJson<{ users: { username: string }[] }>(["user", "list"], { cwd });
  assert.deepEqual(valuesOf(listed.users, "username"), ["dev", "ann"]);
  assert.deepEqual([users(data), users(join(data, "x.before-restore"))], [["ann"], ["ann", "late"]]);
  assert.deepEqual(leftovers(data), []);
});

test("restore and a running server keep apart: exit 4", async (t) => {
  const { cwd, archive } = madeDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  await server.until(/Prism is ready/);
  const { status, stderr } = await runCli(["restore", archive, "--yes"], { cwd });
  assert.deepEqual([status, /another Prism holds/.test(stderr)], [4, true], stderr);
});

/** A data directory with enough rows that a copy takes a while. */
function grown(t: TestContext): { cwd: string; data: string } {
  const { cwd, data } = madeDir(t);
  const db = new SqliteDatabase(databaseIn(data));
  db.exec("pragma synchronous = off");
  const insert = db.prepare("insert into settings (key, value, updatedAt) values (?, ?, 1)");
  db.transaction(() => {
    for (let n = 0; n < 30_000; n++) insert.run(`filler.${n}`, "x".repeat(3000));
  })();
  db.close();
  return { cwd, data };
}

test("Ctrl-C and SIGTERM end a backup at once, with nothing left; so does a disk that takes no more", async (t) => {
  const { cwd } = grown(t);
  const [program, args] = commandLine(["backup", "a.tar"]);
  const env = { PATH: process.env["PATH"], HOME: cwd, PRISM_MIN_FREE_BYTES: "0" };
  const work = (): string[] => readdirSync(cwd).filter((name) => name.endsWith(".partial"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const child = spawn(program, args, { cwd, env, stdio: "ignore" });
    const output = new ChildOutput(child);
    await output.until("a backup in progress", () => work().length > 0);
    child.kill(signal);
    assert.equal((await output.ended).signal, signal, "which a shell shows as 128 and its number");
    assert.deepEqual([work(), existsSync(join(cwd, "a.tar"))], [[], false]);
  }
  const limited = join(cwd, "limited.sh");
  // 4 MiB a file: as if the disk were full.
  writeFileSync(
    limited,
    `#!/bin/sh\nulimit -f 8192\nexec ${commandLine([])
      .flat()
      .map((part) => `'${part}'`)
      .join(" ")} "$@"\n`,
  );
  chmodSync(limited, 0o700);
  const { status, stderr } = await runCli(["backup", "a.tar"], { cwd, executable: limited });
  assert.deepEqual([status, /a\.tar cannot be written: the disk is full/.test(stderr)], [1, true], stderr);
  assert.deepEqual([work(), existsSync(join(cwd, "a.tar"))], [[], false]);
});

test("two backups within a second have names of their own", async (t) => {
  const prism = await startPrism(t);
  const args = ["backup", "--data-dir", prism.dir];
  const [first, second] = [
    await runJson<{ file: string }>(args, { cwd: prism.dir }),
    await runJson<{ file: string }>(args, { cwd: prism.dir }),
  ];
  assert.notEqual(first.file, second.file);
  assert.equal(readdirSync(join(prism.dir, "backups")).filter((name) => name.endsWith(".tar")).length, 2);
});
