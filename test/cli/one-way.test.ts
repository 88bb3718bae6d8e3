import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { overSocket } from "../helpers/control.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { databaseIn, makeDatabase, RunningCli, runCli, runJson } from "./run-cli.ts";

async function serving(t: TestContext, cwd: string, args: readonly string[] = []): Promise<RunningCli> {
  const server = new RunningCli(t, ["serve", "--port", "0", ...args], { cwd });
  await server.until(/Prism is ready/);
  return server;
}

function actorsIn(cwd: string, action: string): unknown[] {
  const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
  try {
    const rows = db.prepare<[string], string>("select actor from audit_log where action = ?").pluck().all(action);
    return rows.map((actor) => JSON.parse(actor) as unknown);
  } finally {
    db.close();
  }
}

test("a command reaches the server of its data directory without a token, as the operator", async (t) => {
  const cwd = temporaryDir(t);
  const server = await serving(t, cwd);
  const { mode, uid } = statSync(join(cwd, "data/prism.sock"));
  assert.deepEqual([(mode & 0o777).toString(8), uid], ["600", process.getuid?.()]);
  await runJson(["key", "create", "--name", "by the operator"], { cwd });
  assert.deepEqual(actorsIn(cwd, "key.create"), [{ type: "operator" }]);
  // The server itself has written it: no other process has opened the database.
  assert.equal(existsSync(join(cwd, "data/command.sock")), false);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  assert.equal(existsSync(join(cwd, "data/prism.sock")), false, "the socket goes with its server");
});

test("without a server the same command runs in its own process, and the next server continues from there", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const made = await runJson<{ id: string }>(["user", "create", "--username", "ann"], { cwd });
  const { users } = await runJson<{ users: { id: string }[] }>(["user", "list", "--username", "ann"], { cwd });
  assert.deepEqual(valuesOf(users, "id"), [made.id]);
  assert.equal(existsSync(join(cwd, "data/command.sock")), false);
  await serving(t, cwd);
  assert.equal((await runJson<{ users: unknown[] }>(["user", "list", "--username", "ann"], { cwd })).users.length, 1);
});

test("a socket that kill -9 has left is no server: commands work, and the next server replaces it", async (t) => {
  const cwd = temporaryDir(t);
  const server = await serving(t, cwd);
  server.signal("SIGKILL");
  await server.ended();
  assert.ok(existsSync(join(cwd, "data/prism.sock")), "it is still there");
  await runJson(["user", "create", "--username", "ann"], { cwd });
  await serving(t, cwd);
  assert.equal((await runJson<{ users: unknown[] }>(["user", "list", "--username", "ann"], { cwd })).users.length, 1);
});

test("a second server is refused and leaves the socket of the first alone", async (t) => {
  const cwd = temporaryDir(t);
  await serving(t, cwd);
  const second = await runCli(["serve", "--port", "0"], { cwd });
  assert.deepEqual([second.status, /another Prism holds the data directory/.test(second.stderr)], [4, true]);
  await runJson(["user", "list"], { cwd });
});

test("kill -9 of a command in its own process leaves nothing broken", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  for (let kills = 0; kills < 3; kills++) {
    const command = new RunningCli(t, ["user", "create", "--username", `killed-${kills}`, "--role", "Admin"], { cwd });
    await eventually("it has its core", () => existsSync(join(cwd, "data/command.sock")));
    command.signal("SIGKILL");
    await command.ended();
  }
  await runJson(["user", "create", "--username", "ann", "--role", "Admin"], { cwd });
  const doctor = await runJson<{ checks: { name: string; status: string }[] }>(["doctor"], { cwd, env: { PORT: "0" } });
  const failed = doctor.checks.filter(({ status }) => status === "fail");
  assert.deepEqual(failed, []);
});

test("commands at the same time wait for one another, and for a server that just starts", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const names = ["ann", "bob", "cleo"];
  const made = await Promise.all(names.map((name) => runCli(["user", "create", "--username", name], { cwd })));
  for (const { status, stderr } of made) assert.equal(status, 0, stderr);
  await server.until(/Prism is ready/);
  const { users } = await runJson<{ users: { username: string }[] }>(["user", "list"], { cwd });
  assert.deepEqual(
    users
      .map(({ username }) => username)
      .filter((name) => names.includes(name))
      .sort(),
    names,
  );
});

test("tail follows over the socket, across a restart of the server", async (t) => {
  const cwd = temporaryDir(t);
  const first = await serving(t, cwd);
  const tail = new RunningCli(t, ["tail", "--json"], { cwd });
  const send = (type: string) => overSocket(join(cwd, "data"), "POST", "/api/v1/events", { type });
  await eventually("it follows", async () => {
    await send("before");
    return tail.stdout.includes('"type":"before"');
  });
  first.signal("SIGTERM");
  await first.ended();
  await tail.until(/retrying/);
  await serving(t, cwd);
  await send("after");
  await tail.until(/"type":"after"/);
});

test("production without its secrets: what only reads works, what would store or unseal names the key", async (t) => {
  const cwd = temporaryDir(t);
  const secrets = {
    JWT_SECRET: "x".repeat(40),
    PRISM_ENCRYPTION_KEY: Buffer.alloc(32, "a key of production").toString("base64"),
  };
  const production = { NODE_ENV: "production" };
  await makeDatabase({ cwd, env: { ...production, ...secrets } });
  await runJson(["user", "create", "--username", "ann"], { cwd, env: { ...production, ...secrets } });
  const { users } = await runJson<{ users: unknown[] }>(["user", "list"], { cwd, env: production });
  assert.equal(users.length, 1);
  await runJson(["rules", "list"], { cwd, env: production });
  for (const args of [
    ["user", "create", "--username", "bob"],
    ["key", "pusher"],
    ["token", "create", "--user", "ann"],
  ]) {
    const { status, stderr } = await runCli(args, { cwd, env: production });
    assert.equal(status, 3, stderr);
    assert.match(stderr, /PRISM_ENCRYPTION_KEY/, args.join(" "));
  }
  const after = await runJson<{ users: unknown[] }>(["user", "list"], { cwd, env: { ...production, ...secrets } });
  assert.equal(after.users.length, 1);
});

test("tail without a server says so", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const { status, stderr } = await runCli(["tail"], { cwd, env: { PORT: "1" } });
  assert.deepEqual([status, /cannot reach/.test(stderr)], [4, true], stderr);
});

test("a data directory whose path is longer than a socket's may be", async (t) => {
  const cwd = temporaryDir(t);
  const dataDir = join(cwd, "d".repeat(130));
  mkdirSync(dataDir);
  const server = await serving(t, cwd, ["--data-dir", dataDir]);
  assert.ok(existsSync(join(dataDir, "prism.sock")));
  await runJson(["user", "create", "--username", "ann", "--data-dir", dataDir], { cwd });
  server.signal("SIGTERM");
  await server.ended();
  await runJson(["user", "create", "--username", "bob", "--data-dir", dataDir], { cwd });
});

const NOBODY = 65_534;

/**
 * A directory that another user may enter; undefined where this test runs as a user who cannot
 * become another.
 */
function openDir(t: TestContext): string | undefined {
  if (process.getuid?.() !== 0) {
    t.diagnostic("needs root to run a command as another user");
    return undefined;
  }
  const dir = mkdtempSync("/tmp/prism-test-");
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  chmodSync(dir, 0o755);
  return dir;
}

/** Runs a copy of the executable as a user who owns nothing. */
function runAsNobody(cwd: string, args: readonly string[], more: Record<string, string> = {}, input = "") {
  const program = join(cwd, "prism");
  if (!existsSync(program)) cpSync("dist/prism", program);
  const env = { PATH: process.env["PATH"] ?? "", HOME: cwd, PRISM_CONFIG_DIR: join(cwd, "etc"), ...more };
  return spawnSync(program, args, { cwd, uid: NOBODY, gid: NOBODY, encoding: "utf8", env, input });
}

test("another user gets no further than an error that names the owner", async (t) => {
  const cwd = openDir(t);
  if (cwd === undefined) return;
  const server = await serving(t, cwd);
  chmodSync(join(cwd, "data"), 0o755);
  const refused = runAsNobody(cwd, ["user", "list"]);
  assert.equal(refused.status, 4, refused.stderr);
  assert.match(refused.stderr, /the server of \S+ belongs to another user: run sudo -u root \S*prism/);
  const [, url = ""] = /Prism is ready: (\S+?)\/?\s/.exec(server.stderr) ?? [];
  const { token } = await runJson<{ token: string }>(["token", "create", "--user", "dev"], { cwd });
  const byToken = runAsNobody(cwd, ["rules", "list", "--json"], { PRISM_TOKEN: token, PORT: new URL(url).port });
  assert.equal(byToken.status, 0, byToken.stderr);
});

test("what root does in the service's data directory belongs to the service afterwards", async (t) => {
  const cwd = openDir(t);
  if (cwd === undefined) return;
  await makeDatabase({ cwd });
  const data = join(cwd, "data");
  for (const name of ["", "prism.db", "secrets.json", "prism.lock", "prism.db.lock"])
    if (existsSync(join(data, name))) chownSync(join(data, name), NOBODY, NOBODY);
  await runJson(["user", "create", "--username", "ann"], { cwd });
  for (const name of ["prism.db", "audit.head"]) assert.equal(statSync(join(data, name)).uid, NOBODY, name);
  const asService = runAsNobody(cwd, ["user", "list", "--json"]);
  assert.deepEqual([asService.status, /"ann"/.test(asService.stdout)], [0, true], asService.stderr);
});

test("a program that owns the socket of another user's directory is not trusted", async (t) => {
  const cwd = openDir(t);
  if (cwd === undefined) return;
  const data = join(cwd, "data");
  mkdirSync(data);
  chmodSync(data, 0o755);
  // A socket of root that anyone may open, as a trap would be.
  let isAsked = false;
  const trap = createServer(() => {
    isAsked = true;
  }).listen(join(data, "prism.sock"));
  t.after(() => trap.close());
  await once(trap, "listening");
  chmodSync(join(data, "prism.sock"), 0o777);
  writeFileSync(join(data, "prism.db"), "");
  const { status, stderr } = runAsNobody(cwd, ["user", "passwd", "ann", "--stdin"], {}, "a secret password");
  assert.deepEqual([status, /belongs to another user/.test(stderr), isAsked], [4, true, false], stderr);
});

test("root trusts a socket of the data directory's owner, not one of another user who may write there", async (t) => {
  const cwd = openDir(t);
  if (cwd === undefined) return;
  await makeDatabase({ cwd });
  const data = join(cwd, "data");
  chownSync(data, NOBODY, NOBODY);
  const socket = join(data, "prism.sock");
  let asked = 0;
  const trap = createServer((connection) => {
    asked++;
    connection.destroy();
  }).listen(socket);
  t.after(() => trap.close());
  await once(trap, "listening");
  chownSync(socket, NOBODY - 1, NOBODY);
  const refused = await runCli(["send", "a secret text"], { cwd });
  assert.deepEqual([refused.status, asked], [4, 0], refused.stderr);
  assert.match(refused.stderr, /belongs to another user: run sudo -u nobody /);
  chownSync(socket, NOBODY, NOBODY);
  await runCli(["send", "a text"], { cwd });
  assert.notEqual(asked, 0);
});

test("root gives no file of the system to the owner of a data directory that has a link to it", async (t) => {
  const cwd = openDir(t);
  if (cwd === undefined) return;
  await makeDatabase({ cwd });
  writeFileSync(join(cwd, "of-the-system"), "");
  linkSync(join(cwd, "of-the-system"), join(cwd, "data/linked"));
  chownSync(join(cwd, "data"), NOBODY, NOBODY);
  await runJson(["user", "create", "--username", "ann"], { cwd });
  assert.equal(statSync(join(cwd, "of-the-system")).uid, 0);
});

test("many commands at once without a server take turns, as long as that takes", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const names = Array.from({ length: 10 }, (_, at) => `user${at}`);
  // Commands that wait notice a turn by the process that holds the lock.
  const options = { cwd, ownProcess: true };
  const ends = await Promise.all(names.map((name) => runCli(["user", "create", "--username", name], options)));
  assert.deepEqual(
    valuesOf(
      ends.filter(({ status }) => status !== 0),
      "stderr",
    ),
    [],
  );
});

test("a command without a server needs no socket in the data directory", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const temporary = join(cwd, "tmp");
  mkdirSync(temporary);
  // Like a file system without sockets.
  mkdirSync(join(cwd, "data/command.sock"));
  const { status, stderr } = await runCli(["send", "a text"], { cwd, env: { TMPDIR: temporary } });
  assert.equal(status, 0, stderr);
  assert.deepEqual(readdirSync(temporary), []);
});

test("serve warns of a data directory that other users may write", async (t) => {
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "data"));
  chmodSync(join(cwd, "data"), 0o770);
  const server = await serving(t, cwd);
  assert.match(server.stdout, /other users of this machine may write the data directory \S+ \(mode 770\): chmod 700/);
});
