import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, eachCase, jsonLines, RunningCli, runCli } from "./run-cli.ts";

test("serve says where to look and how to begin, migrates at the first start, and ends in order", async (t) => {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, base = ""] = await server.until(
    /Prism is ready: (http:\/\/127\.0\.0\.1:\d+) {2}docs \S+\/docs {2}health \S+\/health\n/,
  );

  await t.test("S0-12: the first start made and migrated the database", (t) => {
    keepsPromise(t, "S0-12");
    const lines = jsonLines<{ msg: string; migrations?: number }>(server.stdout);
    const applied = lines.find(({ msg }) => msg === "database migrated");
    assert.ok(applied);
    // The names of all of them would help no one.
    assert.deepEqual([applied.migrations, "applied" in applied], [MIGRATIONS.length, false]);
  });

  await t.test("in development it says how to get a token, and that works", async () => {
    await server.until(/listening on this machine only .*For production set NODE_ENV=production/);
    await server.until(/Development: curl -s http:\/\/\S+\/dev\/token/);
    const { token } = (await (await fetch(`${base}/dev/token`)).json()) as { token: string };
    assert.match(token, /^eyJ/);
  });

  await t.test("SIGHUP takes over what may change, says what waits, and records it", async () => {
    writeFileSync(join(cwd, "prism.config.json"), JSON.stringify({ log: { level: "debug" }, shutdownMs: 5000 }));
    server.signal("SIGHUP");
    await server.until(/"inForce":\["log\.level"\],"msg":"configuration reloaded"/);
    await server.until(/"needRestart":\["shutdownMs"\]/);
    writeFileSync(join(cwd, "prism.config.json"), JSON.stringify({ prot: 1 }));
    server.signal("SIGHUP");
    await server.until(/prot is not a setting; did you mean port\?.*reloading the configuration failed/);
    assert.equal((await fetch(`${base}/health`)).status, 200);
  });

  await t.test("SIGTERM ends it with 0", async () => {
    server.signal("SIGTERM");
    assert.equal(await server.ended(), 0);
    const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
    const actions = db.prepare<[], string>("select action from audit_log").pluck().all();
    db.close();
    assert.ok(actions.includes("config.reload"), actions.join(", "));
  });
});

test("a development server that the network reaches says so", async (t) => {
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd: temporaryDir(t), env: { HOST: "0.0.0.0" } });
  await server.until(/Development mode: listening on 0\.0\.0\.0\. For production/);
  server.signal("SIGINT");
  assert.equal(await server.ended(), 0);
});

test("serve --quiet says nothing on stderr; stdout is one JSON object a line", async (t) => {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0", "--quiet"], { cwd });
  await server.until(/"msg":"ready"/);
  server.signal("SIGINT");
  assert.equal(await server.ended(), 0);
  assert.equal(server.stderr, "");
  for (const line of jsonLines<Record<string, unknown>>(server.stdout)) {
    assert.ok(
      ["time", "level", "ns", "msg"].every((field) => field in line),
      JSON.stringify(line),
    );
  }
});

test("a development server that clients call by another host's name offers no /dev/token", async (t) => {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], {
    cwd,
    env: { PRISM_PUBLIC_URL: "https://prism.example.org" },
  });
  const [, base = ""] = await server.until(/Prism is ready: (http:\/\/127\.0\.0\.1:\d+)/);
  await server.until(/no \/dev\/token, because publicUrl names another host; prism token create --user dev/);
  assert.doesNotMatch(server.stderr, /curl -s \S+\/dev\/token/);
  assert.equal((await fetch(`${base}/dev/token`)).status, 404);
  const { status } = await runCli(["token", "create", "--user", "dev", "--name", "first"], { cwd });
  assert.equal(status, 0);
});

test("serve that cannot start says why in plain words", async (t) => {
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "in-the-way"), "");
  writeFileSync(
    join(cwd, "bad.json"),
    JSON.stringify({ prot: 3000, ingest: { maxBatch: "many" }, log: { level: "loud" } }),
  );
  writeFileSync(join(cwd, "production.json"), JSON.stringify({ env: "production", queues: { timers: 8 } }));
  mkdirSync(join(cwd, "newer"), { mode: 0o700 });
  await runCli(["migrate", "--data-dir", "newer"], { cwd });
  const db = new SqliteDatabase(databaseIn(join(cwd, "newer")));
  db.prepare("insert into migrations (name, checksum, appliedAt) values ('9999_later', 'x', 1)").run();
  db.close();
  mkdirSync(join(cwd, "behind"), { mode: 0o700 });
  const behind = new SqliteDatabase(databaseIn(join(cwd, "behind")));
  behind.pragma("user_version = 1");
  behind.close();
  const other = createServer().listen(0, "127.0.0.1");
  t.after(() => other.close());
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };

  const refused = [
    {
      name: "port taken",
      args: ["--port", String(port)],
      status: 4,
      says: new RegExp(`127\\.0\\.0\\.1:${port}: the port is taken; choose another with --port`),
    },
    {
      name: "an address of another machine",
      args: ["--host", "192.0.2.1", "--data-dir", "elsewhere"],
      status: 4,
      says: /192\.0\.2\.1:0: this machine has no such address; choose another with --host/,
    },
    {
      name: "directory not writable",
      args: ["--data-dir", "in-the-way/data"],
      status: 4,
      says: /in-the-way\/data.*--data-dir/,
    },
    {
      name: "database newer",
      args: ["--data-dir", "newer"],
      status: 3,
      says: /newer than this program: it has 9999_later/,
    },
    {
      name: "pending migrations and --no-migrate",
      args: ["--no-migrate", "--data-dir", "behind"],
      status: 3,
      says: /the database lacks \d{4}_\w+.*run prism migrate/,
    },
    {
      name: "no database and --no-migrate",
      args: ["--no-migrate", "--data-dir", "fresh"],
      status: 4,
      says: /there is no database at \S+\/fresh\/prism\.db/,
    },
    {
      name: "configuration not valid: every problem at once",
      args: ["--config", "bad.json"],
      status: 3,
      says: /not valid:\n.*prot is not a setting; did you mean port\?\n.*(log\.level|ingest\.maxBatch) must be.*\n.*(log\.level|ingest\.maxBatch) must be/,
    },
    {
      name: "production: settings and secrets in one list",
      args: ["--config", "production.json"],
      status: 3,
      says: /not valid:\n.*queues\.timers must be an object\n.*JWT_SECRET .* is required in production.*\n.*PRISM_ENCRYPTION_KEY .* is required in production/,
    },
    {
      name: "an invalid port",
      args: ["--port", "99999"],
      status: 3,
      says: /--port must be a whole number from 0 to 65535/,
    },
  ];
  await eachCase(t, "exit codes and messages", refused, async (c) => {
    const { status, stderr } = await runCli(["serve", "--port", "0", ...c.args], { cwd });
    assert.equal(status, c.status, stderr);
    assert.match(stderr, c.says);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });

  await t.test("a second server on a data directory exits with 4, and the first keeps running", async () => {
    const args = ["serve", "--port", "0", "--data-dir", "shared"];
    const server = new RunningCli(t, args, { cwd });
    const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
    const second = await runCli(args, { cwd });
    assert.deepEqual([second.status, /another Prism holds the data directory/.test(second.stderr)], [4, true]);
    assert.equal((await fetch(`${base}/health`)).status, 200);
  });
});
