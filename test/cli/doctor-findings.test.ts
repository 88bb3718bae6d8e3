import assert from "node:assert/strict";
import { chmodSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { listening } from "../helpers/listening.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { examine, madeDir, saying } from "./doctor-support.ts";
import { databaseIn, RunningCli, runCli } from "./run-cli.ts";

test("production that is open to the network, never backed up, or mails without publicUrl is a WARN of doctor and one line of serve's log", async (t) => {
  const cwd = temporaryDir(t);
  const env = {
    NODE_ENV: "production",
    HOST: "0.0.0.0",
    JWT_SECRET: "q3VnZ0Jx1m8yT5sK2pLw9aRd7eHf4cUiNoBvXzGtYjMk6QlS",
    PRISM_ENCRYPTION_KEY: Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64"),
    SMTP_HOST: "127.0.0.1",
    SMTP_PORT: "9",
    SMTP_FROM: "prism@example.org",
  };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/"msg":"ready"/);
  const patterns = [/plain HTTP on 0\.0\.0\.0/, /smtp\.host is set without publicUrl/];
  const logged = server.stdout.split("\n").filter((line) => line.includes('"level":"warn"'));
  const { report } = await examine(cwd, [], env);
  const warned = report.checks.filter(({ status }) => status === "WARN").map(({ message }) => message);
  for (const pattern of patterns) {
    assert.equal(logged.filter((line) => pattern.test(line)).length, 1, `${pattern} in ${logged.join("\n")}`);
    assert.equal(warned.filter((line) => pattern.test(line)).length, 1, `${pattern} in ${warned.join("\n")}`);
  }
  assert.match(saying(report, "backups"), /^no backup was ever made$/);

  assert.doesNotMatch(server.stdout, /backup/, "a database that this start has made has none yet");
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  const next = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await next.until(/"msg":"ready"/);
  assert.equal(next.stdout.match(/no backup was ever made: schedule prism backup/g)?.length, 1);

  const { SMTP_HOST: _host, SMTP_PORT: _port, SMTP_FROM: _from, ...mailless } = env;
  const other = madeDir(t);
  const local = await examine(other.cwd, [], { ...mailless, HOST: "127.0.0.1" });
  assert.match(saying(local.report, "configuration"), /publicUrl is not set: links in messages, .* lead to localhost/);
  const elsewhere = temporaryDir(t);
  const backup = await runCli(["backup", elsewhere], { cwd, env });
  assert.equal(backup.status, 0, backup.stderr);
  const after = await examine(cwd, [], env);
  assert.equal(after.found.get("backups"), "PASS");
  assert.match(saying(after.report, "backups"), /^the newest backup was made /);
});

test("doctor reports what the running server counts: X-Forwarded-For from a peer that is not trusted", async (t) => {
  const { cwd } = madeDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, url = ""] = await server.until(/Prism is ready: (http:\/\/[^:]+:\d+)/);
  const quiet = await examine(cwd);
  assert.match(saying(quiet.report, "server"), /^version \S+ runs and reports nothing else$/);
  await fetch(`${url}/api/v1/rules`, { headers: { "X-Forwarded-For": "192.0.2.1" } });
  const { status, report, found } = await examine(cwd);
  assert.deepEqual([status, found.get("server")], [0, "WARN"]);
  assert.match(saying(report, "server"), /^1 requests had X-Forwarded-For from .* 127\.0\.0\.1: .*trustedProxies/);
});

test("doctor warns of account pages that nothing serves", async (t) => {
  const { cwd } = madeDir(t);
  const pages = http.createServer((request, response) => {
    response.statusCode = request.url === "/account/reset-password" ? 200 : 404;
    response.end();
  });
  const port = await listening(t, pages);
  const url = `http://127.0.0.1:${port}`;
  for (const { accountUrl, expected, text } of [
    { accountUrl: `${url}/account`, expected: "PASS", text: /is served$/ },
    { accountUrl: `${url}/elsewhere`, expected: "WARN", text: /elsewhere\/reset-password, which answers 404$/ },
    { accountUrl: "http://127.0.0.1:9/account", expected: "WARN", text: /which cannot be reached: / },
  ]) {
    const { status, report, found } = await examine(cwd, [], { PRISM_ACCOUNT_URL: accountUrl });
    assert.deepEqual([status, found.get("account pages")], [0, expected], accountUrl);
    assert.match(saying(report, "account pages"), text);
  }
});

test("rights that others have are a FAIL, and --fix takes them away", async (t) => {
  const { cwd, data } = madeDir(t);
  chmodSync(data, 0o755);
  chmodSync(join(data, "secrets.json"), 0o644);
  const before = await examine(cwd);
  assert.deepEqual([before.status, before.report.ok, before.found.get("permissions")], [8, false, "FAIL"]);
  assert.match(saying(before.report, "permissions"), /data has mode 0755[\s\S]*secrets\.json has mode 0644/);
  const fixed = await examine(cwd, ["--fix"]);
  assert.deepEqual([fixed.status, fixed.found.get("permissions")], [0, "PASS"]);
  assert.deepEqual([statSync(data).mode & 0o777, statSync(join(data, "secrets.json")).mode & 0o777], [0o700, 0o600]);
});

test("a changed audit row is a FAIL that names it; so are missing last rows and another anchor", async (t) => {
  const { cwd, db: file } = madeDir(t);
  const head = readHead(file);
  const anchored = await examine(cwd, ["--db", "--anchor", `${head.seq}:${head.hash}`]);
  assert.equal(anchored.found.get("audit"), "PASS");
  const other = await examine(cwd, ["--db", "--anchor", `${head.seq}:${"0".repeat(64)}`]);
  assert.deepEqual([other.status, other.found.get("audit")], [8, "FAIL"]);

  tamper(file, 'update audit_log set metadata = \'{"roles":["Viewer"]}\' where seq = 2');
  const changed = await examine(cwd, ["--db"]);
  assert.deepEqual([changed.status, changed.found.get("audit"), changed.found.get("database")], [8, "FAIL", "PASS"]);
  assert.match(saying(changed.report, "audit"), /^row 2 \(/);

  tamper(file, "delete from audit_log where seq >= 2");
  assert.match(saying((await examine(cwd, ["--db"])).report, "audit"), /last rows are missing/);
});

test("a damaged database is a FAIL, not a crash", async (t) => {
  const { cwd, db: file } = madeDir(t);
  const tooShort = statSync(file).size - 3 * 4096;
  truncateSync(file, tooShort);
  const short = await examine(cwd);
  assert.deepEqual([short.status, short.found.get("database")], [8, "FAIL"]);
  writeFileSync(file, "this is no database, however long one looks at it ".repeat(100));
  const { status, report, found } = await examine(cwd, ["--db"]);
  assert.deepEqual([status, found.get("database")], [8, "FAIL"]);
  assert.match(saying(report, "database"), /not a database/);
  const { stdout } = await runCli(["doctor", "--db"], { cwd });
  assert.match(stdout, /^FAIL {2}database/m);
});

test("a reference that leads nowhere is a FAIL", async (t) => {
  const { cwd, db: file } = madeDir(t);
  tamper(file, "delete from users where username = 'ann'");
  const { report, found } = await examine(cwd, ["--db"]);
  assert.equal(found.get("foreign keys"), "FAIL");
  assert.match(saying(report, "foreign keys"), /2 references are dangling: .*to users/);
});

test("a newer database, and another encryption key, are FAILs", async (t) => {
  const { cwd, db: file } = madeDir(t);
  const env = { PRISM_ENCRYPTION_KEY: Buffer.alloc(32, "some other key").toString("base64") };
  const other = await examine(cwd, ["--db"], env);
  assert.deepEqual([other.found.get("encryption"), other.found.get("audit")], ["FAIL", "FAIL"]);
  tamper(file, "insert into migrations (name, checksum, appliedAt) values ('9999_later', 'x', 1)");
  const newer = await examine(cwd, ["--db"]);
  assert.deepEqual([newer.status, newer.found.get("migrations")], [8, "FAIL"]);
  assert.match(saying(newer.report, "migrations"), /newer than this program: it has 9999_later/);
});

test("a configuration that is not valid is a FAIL with every problem, and what is ignored is a WARN", async (t) => {
  const { cwd } = madeDir(t);
  const bad = await examine(cwd, [], { PORT: "many", PRISM_SHUTDOWN_MS: "soon" });
  assert.deepEqual([bad.status, bad.report.ok], [8, false]);
  assert.match(saying(bad.report, "configuration"), /PORT must be[\s\S]*PRISM_SHUTDOWN_MS must be/);
  const production = await examine(cwd, [], { NODE_ENV: "production" });
  assert.match(saying(production.report, "configuration"), /JWT_SECRET[\s\S]*PRISM_ENCRYPTION_KEY/);
  const url = "postgres://prism:word@db.example.org/prism";
  const odd = await examine(cwd, [], { DATABASE_URL: url, PRISM_PROT: "3000" });
  assert.deepEqual([odd.status, odd.found.get("configuration")], [0, "WARN"]);
  assert.match(saying(odd.report, "configuration"), /PRISM_PROT.*PRISM_PORT\?[\s\S]*postgres: and is ignored/);
  assert.doesNotMatch(JSON.stringify(odd.report), /prism:word/);
});

test("beside a running server doctor reads and disturbs nothing", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/events", { type: "order.paid" });
  const port = new URL(prism.url).port;
  const { status, report, found } = await examine(prism.dir, ["--data-dir", prism.dir], { PORT: port });
  assert.equal(found.get("port"), "PASS");
  assert.match(saying(report, "port"), /held by the running server, version \d/);
  assert.equal(found.get("audit"), "PASS");
  assert.equal(status, 0, JSON.stringify(report.checks));
  assert.equal((await prism.post("/events", { type: "order.paid" })).status, 202);
});

test("doctor judges the settings of the running server, flags of its start included, and says so", async (t) => {
  const { cwd, data } = madeDir(t);
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => free.once("listening", resolve));
  const { port } = free.address() as { port: number };
  await new Promise((resolve) => free.close(resolve));
  const server = new RunningCli(t, ["serve", "--port", String(port)], {
    cwd,
    env: {
      PRISM_MIN_FREE_BYTES: "4096",
      PRISM_TIMEZONE: "Europe/Berlin",
      PRISM_METRICS_TOKEN: "a-metrics-token-of-ours",
    },
  });
  await server.until(/Prism is ready/);
  const shell = { PORT: "1", DATABASE_URL: "postgres://x/y", PRISM_PUBLIC_URL: "https://other.example" };
  const { status, report, found } = await examine(temporaryDir(t), ["--data-dir", data], shell);
  assert.equal(status, 0, JSON.stringify(report.checks));
  const judged = saying(report, "configuration");
  assert.match(
    judged,
    /^development; of the running server; not those of this shell: [^;]*port[^;]*; without its secrets/,
  );
  for (const key of ["minFreeBytes", "publicUrl", "timezone", "metricsToken"]) assert.ok(judged.includes(key), judged);
  assert.doesNotMatch(judged, /postgres:|a-metrics-token/);
  assert.match(saying(report, "database"), /^[\d.]+ [KM]iB and [\d.]+ [KM]iB in its write-ahead log, quick check/);
  assert.match(saying(report, "port"), new RegExp(`^${port} is held by the running server`));
  assert.match(saying(report, "disk"), /minFreeBytes is 4\.0 KiB/);
  assert.equal(
    found.get("descriptors") === "WARN" ? /in the server, process \d+/.test(saying(report, "descriptors")) : true,
    true,
  );
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
  const after = await examine(cwd, ["--data-dir", data], { PRISM_MIN_FREE_BYTES: "8192" });
  assert.match(saying(after.report, "disk"), /minFreeBytes is 8\.0 KiB/);
  assert.doesNotMatch(saying(after.report, "configuration"), /running server/);
});

test("a running server that cannot write its database is a FAIL, by what it says itself", async (t) => {
  const prism = await startPrism(t);
  const port = new URL(prism.url).port;
  renameSync(databaseIn(prism.dir), `${databaseIn(prism.dir)}.moved`);
  const { report, found } = await examine(prism.dir, ["--data-dir", prism.dir], { PORT: port });
  renameSync(`${databaseIn(prism.dir)}.moved`, databaseIn(prism.dir));
  assert.equal(found.get("port"), "FAIL");
  assert.match(saying(report, "port"), /^the running server on \d+ cannot write the database: /);
});

test("a disk of the database that takes no writes is a FAIL, beside a data directory that does", async (t) => {
  const cwd = temporaryDir(t);
  const { report } = await examine(cwd, [], { DATABASE_URL: "sqlite:///sys/prism.db" });
  const disks = report.checks.flatMap(({ name, status, message }) => (name === "disk" ? `${status} ${message}` : []));
  assert.equal(disks.length, 2, disks.join("\n"));
  assert.match(disks.join("\n"), /FAIL \/sys cannot be written/);
});

test("a port that something else holds is a FAIL", async (t) => {
  const cwd = temporaryDir(t);
  const other = createServer((socket) => socket.end("no HTTP")).listen(0, "127.0.0.1");
  t.after(() => other.close());
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  const { status, report } = await examine(cwd, [], { PORT: String(port) });
  assert.equal(status, 8);
  assert.match(saying(report, "port"), new RegExp(`${port} is taken by another program`));
});

/** Changes rows like an attacker with the file and a SQLite shell: the triggers only stop Prism. */
function tamper(file: string, sql: string): void {
  const db = new SqliteDatabase(file);
  db.pragma("foreign_keys = OFF");
  db.exec("drop trigger if exists audit_log_no_update; drop trigger if exists audit_log_no_delete");
  db.exec(sql);
  db.close();
}

function readHead(file: string): { seq: number; hash: string } {
  const db = new SqliteDatabase(file, { readonly: true });
  const head = db
    .prepare<[], { seq: number; hash: string }>("select seq, hash from audit_log order by seq desc limit 1")
    .get();
  db.close();
  assert.ok(head);
  return head;
}
