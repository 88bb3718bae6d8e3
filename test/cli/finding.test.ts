import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { eachCase, RunningCli, runCli } from "./run-cli.ts";

const SECRETS = {
  JWT_SECRET: randomBytes(48).toString("base64"),
  PRISM_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
};

/** A production server's configuration in a directory such as /etc/prism. */
interface Installed {
  readonly dataDir: string;
  readonly etc: string;
  /** All that the environment of a command must say. */
  readonly env: { readonly PRISM_CONFIG_DIR: string };
}

function install(t: TestContext): Installed {
  const dir = temporaryDir(t);
  const [etc, dataDir] = [join(dir, "etc"), join(dir, "lib")];
  mkdirSync(etc);
  const settings = { env: "production", host: "127.0.0.1", port: 0, dataDir, auth: { registration: "closed" } };
  writeFileSync(join(etc, "prism.config.json"), JSON.stringify(settings));
  const variables = Object.entries(SECRETS).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(etc, "secrets.env"), variables.join(""), { mode: 0o640 });
  return { dataDir, etc, env: { PRISM_CONFIG_DIR: etc } };
}

async function startInstalled(t: TestContext, { env }: Installed): Promise<RunningCli> {
  const server = new RunningCli(t, ["serve"], { cwd: temporaryDir(t), env });
  await server.until(/Prism is ready/);
  return server;
}

test("a command in a directory without a database says where it looked, exits 4 and leaves nothing", async (t) => {
  const cwd = temporaryDir(t);
  const cases = [
    ["user", "list"],
    ["token", "list"],
    ["key", "list"],
    ["token", "create", "--user", "admin"],
    ["key", "create"],
    ["key", "pusher"],
    ["user", "create", "--username", "ann", "--role", "Admin"],
    ["user", "passwd", "dev", "--stdin"],
    ["user", "unlock", "dev"],
    ["rules", "list"],
    ["export", "events"],
    ["backup"],
    ["key", "rotate", "--encryption"],
    ["migrate", "status"],
  ].map((args) => ({ name: args.join(" "), args }));
  await eachCase(t, "without a database", cases, async ({ args }) => {
    const input = "correct horse battery2\n";
    const { status, stdout, stderr } = await runCli(args, { cwd, input });
    assert.deepEqual([status, stdout], [4, ""], stderr);
    assert.match(stderr, new RegExp(`there is no database at ${join(cwd, "data/prism.db")} .*the default`));
  });
  assert.ok(!existsSync(join(cwd, "data")));
  const byFlag = await runCli(["user", "list", "--data-dir", "elsewhere"], { cwd });
  assert.match(byFlag.stderr, /data directory \S+\/elsewhere, from --data-dir/);
  const byVariable = await runCli(["user", "list"], { cwd, env: { PRISM_DATA_DIR: "elsewhere" } });
  assert.match(byVariable.stderr, /data directory \S+\/elsewhere, from PRISM_DATA_DIR/);
  assert.ok(!existsSync(join(cwd, "data")));
});

test("doctor fails where there is no database", async (t) => {
  const cwd = temporaryDir(t);
  for (const flags of [[], ["--db"]]) {
    const { status, stdout } = await runCli(["doctor", ...flags], { cwd });
    assert.equal(status, 8);
    assert.match(stdout, /FAIL +database +there is no database at .*data\/prism\.db/);
  }
  assert.ok(!existsSync(join(cwd, "data")));
});

test("serve, migrate and seed make a database, and say so", async (t) => {
  for (const args of [["migrate"], ["seed", "--events", "1", "--tasks", "1"]]) {
    const cwd = temporaryDir(t);
    const { status, stderr } = await runCli(args, { cwd });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^created a new database in \S+\/data \(the default, in the working directory\)$/m);
    assert.ok(existsSync(join(cwd, "data/secrets.json")), "with its secrets");
    const again = await runCli(args, { cwd });
    assert.ok(!again.stderr.includes("made a new database"), again.stderr);
  }
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  await server.until(/created a new database in/);
  await server.until(/Prism is ready/);
});

test("a command that is refused on a production directory leaves no secrets there", async (t) => {
  const installed = install(t);
  const server = await startInstalled(t, installed);
  server.signal("SIGTERM");
  await server.ended();
  const { dataDir } = installed;
  // As in a shell of root that knows the directory and nothing of the service's configuration.
  const env = { PRISM_DATA_DIR: dataDir };
  for (const args of [["user", "list"], ["serve", "--port", "0"], ["backup"], ["seed"]]) {
    const { status, stderr } = await runCli(args, { cwd: temporaryDir(t), env });
    assert.equal(status, 3, stderr);
    assert.match(stderr, /is not configured, and there is no \S+secrets\.json, which is made with a new database only/);
    assert.ok(!existsSync(join(dataDir, "secrets.json")), args.join(" "));
  }
});

test("the service's data and secrets are found without one variable in the shell", async (t) => {
  const installed = install(t);
  const { env, etc, dataDir } = installed;
  const cwd = temporaryDir(t);
  const server = await startInstalled(t, installed);
  const made = await runCli(["user", "create", "--username", "ann", "--role", "Admin"], { cwd, env });
  assert.equal(made.status, 0, made.stderr);
  const listed = await runCli(["user", "list"], { cwd, env });
  assert.match(listed.stdout, /ann/);
  const doctor = await runCli(["doctor"], { cwd, env });
  assert.match(
    doctor.stdout,
    new RegExp(`configuration +production; ${etc}/prism.config.json and ${etc}/secrets.env;`),
  );
  assert.ok(!doctor.stdout.includes("WARN  secrets"), doctor.stdout);
  chmodSync(join(etc, "secrets.env"), 0o644);
  const loose = await runCli(["doctor"], { cwd, env });
  assert.match(loose.stdout, /WARN +secrets +\S+secrets\.env holds secrets and every user .*chmod 640/);
  server.signal("SIGTERM");
  await server.ended();
  assert.ok(!existsSync(join(cwd, "data")));
  assert.ok(!existsSync(join(dataDir, "secrets.json")));
});

test("secrets.env that cannot be read stops only the command that needs a secret, and says who may", async (t) => {
  const installed = install(t);
  const { env, etc } = installed;
  const server = await startInstalled(t, installed);
  server.signal("SIGTERM");
  await server.ended();
  const cwd = temporaryDir(t);
  // A directory in its position is unreadable for root, too.
  const file = join(etc, "secrets.env");
  rmSync(file);
  mkdirSync(file);
  const migrated = await runCli(["migrate", "status"], { cwd, env });
  assert.equal(migrated.status, 0, migrated.stderr);
  const backup = await runCli(["backup"], { cwd, env });
  assert.equal(backup.status, 3);
  assert.match(
    backup.stderr,
    /encryptionKey is not configured; \S+secrets\.env cannot be read \(EISDIR\), run the command as the service's user: sudo -u \S+ prism/,
  );
});

test("the line for cron in docs/backup.md works as it is written, and prints nothing", async (t) => {
  const installed = install(t);
  const server = await startInstalled(t, installed);
  const page = readFileSync(new URL("../../docs/backup.md", import.meta.url), "utf8");
  const line = /^15 3 \* \* \* +(?<program>\/\S+\/prism) (?<args>.+)$/m.exec(page)?.groups;
  assert.ok(line?.["args"], "docs/backup.md has a line for cron");
  const archives = temporaryDir(t);
  const args = line["args"].split(" ").map((argument) => (argument === "/mnt/backups" ? archives : argument));
  // As cron starts it; PRISM_CONFIG_DIR replaces /etc/prism.
  const { status, stdout, stderr } = await runCli(args, {
    cwd: temporaryDir(t),
    env: { ...installed.env, PATH: "/usr/bin:/bin" },
  });
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  assert.equal(readdirSync(archives).length, 1);
  server.signal("SIGTERM");
  await server.ended();
});

test("what holds the data directory is named with its process", async (t) => {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, pid] = await server.until(/"pid":(\d+)/);
  const { status, stderr } = await runCli(["serve", "--port", "0"], { cwd });
  assert.equal(status, 4);
  assert.match(stderr, new RegExp(`another Prism holds the data directory \\S+ \\(pid ${pid}\\)`));
});
