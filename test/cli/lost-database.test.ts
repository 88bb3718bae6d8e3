import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, RunningCli, runCli, runJson } from "./run-cli.ts";

test("commits that are gone after a crash are noticed, and a database that is gone is not replaced silently", async (t) => {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  const serve = (...flags: string[]): RunningCli => new RunningCli(t, ["serve", "--port", "0", ...flags], { cwd });
  const doctor = async () => (await runCli(["doctor", "--db", "--json"], { cwd })).stdout;
  const first = serve();
  await first.until(/Prism is ready/);
  await eventually("a beat is noted", () => existsSync(join(data, "store.beat")));
  first.signal("SIGKILL");
  await first.ended();

  const head = readFileSync(join(data, "audit.head"), "utf8");
  rmSync(join(data, "audit.head"));
  assert.match(await doctor(), /"name":"audit","status":"FAIL","message":"audit\.head is missing/);
  writeFileSync(join(data, "audit.head"), head);

  // As after the loss of a log that held later commits.
  const noted = readFileSync(join(data, "store.beat"), "utf8");
  writeFileSync(
    join(data, "store.beat"),
    noted.replace(/"beat":(\d+)/, (_all, beat) => `"beat":${Number(beat) + 3}`),
  );
  assert.match(await doctor(), /"FAIL","message":"the database lacks commits that an earlier server acknowledged/);
  const second = serve();
  await second.until(/lacks commits that an earlier server acknowledged/);
  await second.until(/Prism is ready/);
  second.signal("SIGKILL");
  await second.ended();

  for (const lose of [() => truncateSync(databaseIn(data)), () => rmSync(databaseIn(data))]) {
    lose();
    for (const part of ["-wal", "-shm"]) rmSync(`${databaseIn(data)}${part}`, { force: true });
    const refused = await runCli(["serve", "--port", "0"], { cwd });
    assert.deepEqual(
      [refused.status, /audit\.head and .*store\.beat show that there was one; .*--new-database/.test(refused.stderr)],
      [3, true],
    );
    assert.match(await doctor(), /"FAIL","message":"there is no database/);
  }
  for (const command of [["migrate"], ["seed"], ["user", "list"]]) {
    const { status, stderr } = await runCli(command, { cwd });
    assert.deepEqual([status, /there is no database at .*prism restore/.test(stderr)], [3, true], command.join(" "));
    assert.equal(existsSync(databaseIn(data)), false);
  }
  const anew = serve("--new-database");
  await anew.until(/Prism is ready/);
  assert.deepEqual((await runJson<{ pending: string[] }>(["migrate", "status"], { cwd })).pending, []);
});

test("doctor passes beside a production server with an audit trail that was empty at its start", async (t) => {
  const cwd = temporaryDir(t);
  const secret = (seed: number) => Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 7 + seed) % 256));
  const env = {
    NODE_ENV: "production",
    HOST: "127.0.0.1",
    JWT_SECRET: secret(1).toString("hex"),
    PRISM_ENCRYPTION_KEY: secret(2).toString("base64"),
  };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, base] = await server.until(/Prism is ready: (\S+)/);
  const login = { method: "POST", body: '{"username":"ann","password":"not hers"}' };
  const headers = { "Content-Type": "application/json" };
  assert.equal((await fetch(`${base}/auth/login`, { ...login, headers })).status, 401);
  const { stdout } = await runCli(["doctor", "--db", "--json"], { cwd, env });
  assert.match(stdout, /"name":"audit","status":"PASS","message":"the chain of 1 rows is intact"/);
});
