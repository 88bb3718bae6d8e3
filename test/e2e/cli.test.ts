import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { EXIT } from "../../src/cli/output/exit-codes.ts";
import { type CliOptions, eachCase, RunningCli, runCli, runJson } from "../cli/run-cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const NOBODY = "01890000-0000-7000-8000-000000000000";

test("the executable's exit codes (contract 10.1), one plain message each", async (t) => {
  const prism = new PrismBinary(t);
  const cwd = prism.dir;
  const options: CliOptions = { cwd, executable: join(cwd, "prism") };
  await prism.start();
  const online = { PRISM_URL: prism.url, PRISM_TOKEN: prism.token };
  const rulesTest = ["rules", "test", "--event", '{"amount":1}', "--condition"];
  const refused: readonly {
    code: keyof typeof EXIT;
    args: readonly string[];
    env?: Record<string, string>;
    says: RegExp;
  }[] = [
    { code: "done", args: [...rulesTest, "event.amount == 1"], says: /^$/ },
    { code: "failure", args: ["export", "events", "--out", "no/such/folder"], says: /cannot be written: ENOENT/ },
    { code: "usage", args: ["export", "everything"], says: /'everything' is invalid/ },
    { code: "usage", args: ["user", "list", "--limt"], says: /unknown option '--limt'/ },
    { code: "refused", args: ["migrate"], env: { PRISM_INGEST_MAX_BATCH: "many" }, says: /must be a whole number/ },
    {
      code: "refused",
      args: ["backup", "never.tar"],
      env: { PRISM_ENCRYPTION_KEY: "0".repeat(64) },
      says: /not the one this database was made with/,
    },
    { code: "unreachable", args: ["migrate", "reset", "--yes"], says: /another Prism holds the data directory/ },
    {
      code: "unreachable",
      args: ["tail", "--url", "http://127.0.0.1:1"],
      says: /cannot reach http:\/\/127\.0\.0\.1:1/,
    },
    { code: "unauthorised", args: ["tail"], env: { PRISM_URL: prism.url }, says: /UNAUTHENTICATED/ },
    { code: "unauthorised", args: ["tail", "--stream", `user:${NOBODY}`], env: online, says: /CHANNEL_FORBIDDEN/ },
    { code: "notFound", args: ["key", "revoke", NOBODY], says: /API_KEY_NOT_FOUND/ },
    { code: "notFound", args: ["tail", "--project", "nix"], env: online, says: /PROJECT_NOT_FOUND/ },
    { code: "conflict", args: [...rulesTest, "event.amount =="], says: /INVALID_CONDITION\)\n.*\n +\^/ },
    { code: "conflict", args: ["user", "create", "--username", "dev"], says: /USERNAME_TAKEN/ },
    { code: "checkFailed", args: [...rulesTest, "event.amount > 1", "--expect", "true"], says: /expected true/ },
  ];
  const cases = refused.map((c) => ({ ...c, name: `${EXIT[c.code]}: prism ${c.args.join(" ").slice(0, 60)}` }));
  await eachCase(t, "codes", cases, async ({ code, args, env = {}, says }) => {
    const { status, stderr } = await runCli(args, { ...options, env });
    assert.equal(status, EXIT[code], stderr);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /\n\s+at |node:internal|main\.js/, "no stack");
  });

  await t.test("130: Ctrl-C, whatever the command was waiting for", async (group) => {
    const waiting = [
      ["tail", "--from", "earliest"],
      ["rules", "test", "--condition", "true", "--event", "-"],
    ];
    for (const args of waiting) {
      const command = new RunningCli(group, args, { ...options, env: { ...online, DEBUG: "prism:cli" } });
      await command.until(/"msg":"begins"/);
      command.signal("SIGINT");
      assert.equal(await command.ended(), EXIT.interrupted, args.join(" "));
    }
  });
});

test("an export that is interrupted, or whose server breaks off, leaves no file, whole or partial", async (t) => {
  const prism = new PrismBinary(t);
  // A server that gives one row and then, for ever, nothing.
  const stalled = createServer((request, response) => {
    if (request.url?.startsWith("/api/v1/projects")) response.end('{"data":[{"id":"p"}],"nextCursor":null}');
    else response.write('{"id":"1"}\n');
  }).listen(0, "127.0.0.1");
  await once(stalled, "listening");
  t.after(() => {
    stalled.closeAllConnections();
    stalled.close();
  });
  const url = `http://127.0.0.1:${(stalled.address() as AddressInfo).port}`;
  const options: CliOptions = { cwd: prism.dir, executable: join(prism.dir, "prism") };
  const files = (): string[] => readdirSync(prism.dir).filter((name) => name.startsWith("rows"));

  const command = new RunningCli(t, ["export", "events", "--url", url, "--out", "rows"], options);
  await eventually("the export has begun", () => files().length > 0);
  assert.match(files().join(), /^rows\.\d+\.partial$/);
  command.signal("SIGINT");
  assert.equal(await command.ended(), EXIT.interrupted);
  assert.deepEqual(files(), []);

  const broken = new RunningCli(t, ["export", "events", "--url", url, "--out", "rows"], options);
  await eventually("the export has begun", () => files().length > 0);
  stalled.closeAllConnections();
  assert.equal(await broken.ended(), EXIT.unreachable);
  assert.match(broken.stderr, /^prism: http:\/\/127\.0\.0\.1:\d+ stopped in the middle of the response: .+\n$/);
  assert.deepEqual(files(), []);
});

test("a reader who has seen enough ends a command quietly", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  // More than any pipe holds: the command still writes when the reader goes.
  const line = `${JSON.stringify({ type: "bulk", payload: { text: "x".repeat(4000) } })}\n`;
  assert.equal((await prism.call("POST", "/events", line.repeat(500), "application/x-ndjson")).status, 202);
  const ended = async (command: string): Promise<string> => {
    const script = `{ ${command}; echo "ended with $?" >&2; } | head -n 2 >head`;
    const child = spawn("sh", ["-c", script], { cwd: prism.dir, stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    await once(child, "close");
    assert.equal(readFileSync(join(prism.dir, "head"), "utf8").trimEnd().split("\n").length, 2);
    return stderr;
  };
  assert.equal(await ended("./prism export events"), "ended with 0\n");
  assert.equal(
    await ended(`./prism tail --json --from earliest --url ${prism.url} --token ${prism.token}`),
    "ended with 0\n",
  );
});

test("secrets come from the environment or a file, and are in no output", async (t) => {
  const prism = new PrismBinary(t);
  const options: CliOptions = { cwd: prism.dir, executable: join(prism.dir, "prism") };
  await prism.start();
  writeFileSync(join(prism.dir, "token"), `${prism.token}\n`, { mode: 0o600 });
  const env = { PRISM_URL: prism.url, PRISM_TOKEN_FILE: "token", DEBUG: "prism:*" };
  const exported = await runCli(["export", "rules"], { ...options, env });
  assert.equal(exported.status, 0, exported.stderr);
  assert.match(exported.stderr, /"ns":"prism:cli".*"url":"http:\/\/127\.0\.0\.1:\d+\/api\/v1\/rules\?.*"status":200/);
  assert.doesNotMatch(exported.stderr + exported.stdout, new RegExp(prism.token.slice(-20)));

  const missing = await runCli(["tail"], { ...options, env: { ...env, PRISM_TOKEN_FILE: "nix", DEBUG: "" } });
  assert.deepEqual([missing.status, missing.stderr], [2, "prism: PRISM_TOKEN_FILE: nix cannot be read (ENOENT)\n"]);
  const { users } = await runJson<{ users: { username: string }[] }>(["user", "list"], options);
  assert.deepEqual(
    users.map(({ username }) => username),
    ["dev"],
  );
});
