import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { type CliOptions, eachCase, jsonLines, RunningCli, runCli, runJson } from "../cli/run-cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { stepsOf } from "../helpers/steps.ts";
import { PrismBinary } from "./prism-binary.ts";

/**
 * Everything that a newcomer does with the downloaded file, in the order of the README, with
 * nothing else in the folder.
 */

const version = (
  JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as { version: string }
).version;

interface Exported {
  readonly id: string;
  readonly type: string;
  readonly payload: { readonly amount: number };
}

test("S0-01, S1-14, S1-22, S4-04: the executable in an empty folder, from the first command to the last", async (t) => {
  keepsPromise(t, ["S0-01", "S1-14", "S1-22", "S4-04"]);
  const prism = new PrismBinary(t);
  const cwd = prism.dir;
  const options: CliOptions = { cwd, executable: join(cwd, "prism"), env: { PORT: "0" } };
  const step = stepsOf(t);

  await step("S1-26 dist/prism is one file that says its version and its commands", async (t) => {
    keepsPromise(t, "S1-26");
    assert.deepEqual(readdirSync(cwd), ["prism"]);
    assert.equal((await runCli(["--version"], options)).stdout, `${version}\n`);
    const { status, stdout, stderr } = await runCli(["--help"], options);
    assert.deepEqual([status, stderr], [0, ""]);
    for (const command of ["serve", "migrate", "doctor", "tail", "trigger", "export", "rules", "user", "token", "key"])
      assert.match(stdout, new RegExp(`^ {2}${command}\\b`, "m"));
  });

  await step("S0-12, S1-06, S1-23 migrate makes the database, and keeps a history of what was applied", async (t) => {
    keepsPromise(t, "S1-06");
    assert.equal((await runCli(["migrate", "status"], options)).status, 4);
    const made = await runJson<{ applied: string[]; pending: string[]; appliedNow: string[] }>(["migrate"], options);
    assert.deepEqual([made.applied, made.pending], [made.appliedNow, []]);
    assert.match(made.applied[0] ?? "", /^0001_/);
    assert.equal((await runCli(["migrate", "status"], options)).status, 0);
    assert.equal(statSync(join(cwd, "data/prism.db")).mode & 0o077, 0);
  });

  const accounts = { token: "", key: "" };
  await step("a user, a token and a key are made without a server", async () => {
    await runJson(["user", "create", "--username", "ann", "--role", "Admin"], options);
    accounts.token = (await runCli(["token", "create", "--user", "ann"], options)).stdout.trim();
    accounts.key = (await runCli(["key", "create", "--name", "shop"], options)).stdout.trim();
    assert.match(`${accounts.token} ${accounts.key}`, /^prt_[\w-]+ prk_[\w-]+$/);
  });

  await prism.start();
  const online = { ...options, env: { PRISM_URL: prism.url, PRISM_TOKEN: accounts.token } };

  await step(
    "what was made before the start counts, and tail shows what trigger and a key's holder bring about",
    async () => {
      const tail = new RunningCli(t, ["tail", "--json", "--from", "earliest", "--limit", "2"], online);
      const sent = await fetch(`${prism.url}/events`, {
        method: "POST",
        headers: { "X-API-Key": accounts.key, "Content-Type": "application/json" },
        body: '{"type":"payment","payload":{"amount":1500}}',
      });
      assert.equal(sent.status, 202);
      const args = ["trigger", "later", "--delay", "10ms", "--event", "report.due", "--payload", "-", "--persist"];
      const job = await runJson<{ jobId: string; runAt: string }>(args, { ...online, input: '{"amount":2}' });
      assert.match(job.jobId, /^[0-9a-f-]{36}$/);
      assert.equal(await tail.ended(), 0, tail.stderr);
      assert.deepEqual(
        jsonLines<Exported>(tail.stdout).map(({ type, payload }) => [type, payload.amount]),
        [
          ["payment", 1500],
          ["report.due", 2],
        ],
      );
    },
  );

  await step("export gives the same rows beside the server and from it, plain and compressed", async () => {
    const offline = await runCli(["export", "events"], options);
    const [fromServer, compressed] = await Promise.all([
      runCli(["export", "events", "--format", "json", "--out", "events.json"], online),
      runCli(["export", "events", "--gzip", "--out", "events.gz"], options),
    ]);
    assert.deepEqual([offline.status, fromServer.status, compressed.status], [0, 0, 0], fromServer.stderr);
    const rows = jsonLines<Exported>(offline.stdout);
    assert.deepEqual(
      rows.map(({ type }) => type),
      ["payment", "report.due"],
    );
    assert.deepEqual(JSON.parse(readFileSync(join(cwd, "events.json"), "utf8")), rows);
    assert.equal(gunzipSync(readFileSync(join(cwd, "events.gz"))).toString(), offline.stdout);
  });

  await step("rules test says why, here and on the server", async () => {
    const args = ["rules", "test", "--condition", "event.amount > 1000", "--event", '{"amount":1500}'];
    for (const where of [options, online]) {
      const { status, stdout } = await runCli(args, where);
      assert.deepEqual([status, stdout.split("\n")[0]], [0, "matched: yes"]);
    }
  });

  await step("S0-15 doctor finds everything in order, and Redis embedded", async (t) => {
    keepsPromise(t, "S0-15");
    const { status, stdout, stderr } = await runCli(["doctor"], options);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^PASS {2}redis +embedded/m);
    const config = await runCli(["config"], options);
    assert.match(config.stdout, /^encryptionKey +\*\*\* +\/.*\/data\/secrets\.json$/m);
    assert.doesNotMatch(stdout, /FAIL/);
  });

  await step("an administrator's commands beside the server count there", async () => {
    const [key] = (await runJson<{ keys: { id: string }[] }>(["key", "list"], options)).keys;
    await runJson(["key", "revoke", key?.id ?? ""], options);
    await eventually("the server refuses the revoked key", async () => {
      const { status } = await fetch(`${prism.url}/events`, { headers: { "X-API-Key": accounts.key } });
      return status === 401;
    });
  });

  await step("after a stop, and after kill -9, everything is still there", async () => {
    const before = await runCli(["export", "events"], options);
    assert.equal(await prism.stop(), 0);
    assert.deepEqual(await runCli(["export", "events"], options), before);
    await prism.start();
    await prism.kill();
    assert.deepEqual(await runCli(["export", "events"], options), before);
    assert.equal((await runCli(["doctor", "--db", "--deep"], options)).status, 0);
  });
});

test("every command explains itself with an example, and makes nothing by that", async (t) => {
  const prism = new PrismBinary(t);
  const options = { cwd: prism.dir, executable: join(prism.dir, "prism") };
  const names = ["serve", "migrate", "doctor", "tail", "trigger", "export", "rules test", "user create", "user list"];
  const more = ["token create", "token list", "token revoke", "key create", "key list", "key rotate", "key revoke"];
  const cases = [...names, ...more].map((name) => ({ name: `prism ${name} --help`, args: name.split(" ") }));
  await eachCase(t, "help", cases, async ({ args }) => {
    const { status, stdout, stderr } = await runCli([...args, "--help"], options);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^Usage: prism ${args.join(" ")}[\\s\\S]*^Examples?:\\n {2}\\$ .*prism`, "m"));
  });
  assert.deepEqual(
    readdirSync(prism.dir).filter((name) => name === "data"),
    [],
  );
});
