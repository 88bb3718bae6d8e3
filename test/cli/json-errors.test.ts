import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { makeDatabase, RunningCli, runCli, runJson } from "./run-cli.ts";

interface Printed {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details: readonly { readonly message: string }[];
    readonly exitCode: number;
  };
}

const UNUSED_URL = "http://127.0.0.1:1";

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly code: string;
  readonly exitCode: number;
  readonly message: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: "a failure",
    args: ["backup", "/nowhere/a.tar"],
    exitCode: 1,
    code: "FAILED",
    message: /^there is no directory \/nowhere$/,
  },
  { name: "no command", args: [], exitCode: 2, code: "USAGE", message: /^give a command; prism help lists them$/ },
  {
    name: "a group without its command",
    args: ["key"],
    exitCode: 2,
    code: "USAGE",
    message: /^give a command; prism help lists them$/,
  },
  {
    name: "an unknown command",
    args: ["serv"],
    exitCode: 2,
    code: "USAGE",
    message: /^unknown command 'serv'\n\(Did you mean serve\?\)$/,
  },
  {
    name: "an unknown flag",
    args: ["tail", "--limt", "3"],
    exitCode: 2,
    code: "USAGE",
    message: /^unknown option '--limt'\n\(Did you mean --limit\?\)$/,
  },
  {
    name: "a value of a flag that cannot be read",
    args: ["export", "events", "--from", "yesterdayish"],
    exitCode: 2,
    code: "USAGE",
    message: /--from .*yesterdayish/,
  },
  {
    name: "a missing argument",
    args: ["export"],
    exitCode: 2,
    code: "USAGE",
    message: /^missing required argument 'kind'$/,
  },
  {
    name: "flags that exclude each other",
    args: ["rules", "list", "--url", UNUSED_URL, "--data-dir", "x"],
    exitCode: 2,
    code: "USAGE",
    message: /--url or --data-dir, not both/,
  },
  {
    name: "settings that are not valid",
    args: ["migrate"],
    env: { PORT: "many", PRISM_RETENTION_DAYS: "-1" },
    exitCode: 3,
    code: "CONFIG_REFUSED",
    message: /^the configuration is not valid$/,
  },
  {
    name: "a server that does not answer",
    args: ["queue", "status", "--url", UNUSED_URL],
    exitCode: 4,
    code: "UNREACHABLE",
    message: /^cannot reach http:\/\/127\.0\.0\.1:1: /,
  },
  {
    name: "an archive that does not exist",
    args: ["restore", "none.tar"],
    exitCode: 6,
    code: "NOT_FOUND",
    message: /none\.tar$/,
  },
  {
    name: "a name that is taken",
    args: ["user", "create", "--username", "ann", "--role", "Admin"],
    exitCode: 7,
    code: "USERNAME_TAKEN",
    message: /username/,
  },
];

async function failureOf(
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<Printed["error"]> {
  const { status, stderr } = await runCli([...args, "--json"], { cwd, env });
  const { error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as Printed;
  assert.deepEqual(Object.keys(error), ["code", "message", "details", "exitCode"]);
  assert.equal(error.exitCode, status, stderr);
  return error;
}

async function madeDir(t: TestContext): Promise<string> {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  await runJson(["user", "create", "--username", "ann", "--role", "Admin"], { cwd });
  return cwd;
}

test("with --json an error is a JSON document on stderr, with the exit code of the command", async (t) => {
  const cwd = await madeDir(t);
  for (const { name, args, env, exitCode, code, message } of CASES)
    await t.test(name, async () => {
      const error = await failureOf(args, cwd, env);
      assert.deepEqual([error.exitCode, error.code], [exitCode, code]);
      assert.match(error.message, message);
    });

  await t.test("the details name every setting that is not valid", async () => {
    const { details } = await failureOf(["migrate"], cwd, { PORT: "many", PRISM_RETENTION_DAYS: "-1" });
    const shown = details.map(({ message }) => message.split(" ", 1)[0]);
    assert.deepEqual(shown, ["PORT", "PRISM_RETENTION_DAYS"]);
  });

  await t.test("a check that failed prints its result on stdout and the error on stderr", async () => {
    const empty = temporaryDir(t);
    await runCli(["migrate"], { cwd: empty });
    const { status, stdout, stderr } = await runCli(["doctor", "--json"], {
      cwd: empty,
      env: { PRISM_MIN_FREE_BYTES: "900000000000000" },
    });
    assert.equal(status, 8, stdout);
    assert.equal((JSON.parse(stdout) as { ok: boolean }).ok, false);
    assert.equal((JSON.parse(stderr) as Printed).error.code, "CHECK_FAILED");
  });

  await t.test("--help and --version are no errors", async () => {
    for (const flag of ["--help", "--version"]) {
      const { status, stderr } = await runCli([flag, "--json"], { cwd });
      assert.deepEqual([status, stderr], [0, ""], flag);
    }
  });

  await t.test("without --json it is text", async () => {
    const { stderr } = await runCli(["serv"], { cwd });
    assert.equal(stderr, "prism: unknown command 'serv'\n(Did you mean serve?)\n");
  });
});

test("with --json the refusal of a server keeps its code and details", async (t) => {
  const prism = await startPrism(t);
  const cwd = temporaryDir(t);
  const url = `http://127.0.0.1:${prism.app.port}`;
  const refused = await failureOf(["rules", "list", "--url", url], cwd, { PRISM_TOKEN: "wrong" });
  assert.deepEqual([refused.exitCode, refused.code], [5, "TOKEN_INVALID"]);
  const missing = await failureOf(["queue", "status", "--queue", "none", "--url", url], cwd, {
    PRISM_TOKEN: prism.adminToken,
  });
  assert.equal(missing.exitCode, 6);
  const flags = ["--condition", "event.x >", "--event", "{}", "--url", url];
  const invalid = await failureOf(["rules", "test", ...flags], cwd, { PRISM_TOKEN: prism.adminToken });
  assert.deepEqual([invalid.exitCode, invalid.code], [7, "INVALID_CONDITION"]);

  await t.test("Ctrl-C ends with 130 and prints no error", async (t) => {
    const env = { PRISM_TOKEN: prism.adminToken };
    const tail = new RunningCli(t, ["tail", "--json", "--url", url], { cwd, env });
    await prism.post("/api/v1/events", { type: "seen" });
    await eventually("the event", async () => {
      await prism.post("/api/v1/events", { type: "seen" });
      return tail.stdout.includes('"seen"');
    });
    tail.signal("SIGINT");
    assert.equal(await tail.ended(), 130);
    assert.doesNotMatch(tail.stderr, /"error"/);
  });
});

test("no error repeats a password or a token that is in the URL of a server", async (t) => {
  const cwd = temporaryDir(t);
  for (const url of ["http://ann:hidden@127.0.0.1:1", "http://127.0.0.1:1/?token=hidden", "htp://ann:hidden@host"])
    for (const args of [
      ["rules", "list", "--json", "--url", url],
      ["rules", "list", "--url", url],
    ]) {
      const { status, stdout, stderr } = await runCli(args, { cwd });
      assert.deepEqual([status, (stdout + stderr).includes("hidden")], [2, false], stderr);
    }
});

test("a command that meets a used-up budget of work exits with 4, and names its owner and when to try again", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(Date.now()) });
  const { work } = prism.parts.core;
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  work.charge({ projectId: null, all: "known", levels: [["creator", me.id]] }, { steps: 10_000_000_000 });
  const args = ["alerts", "fire", "alertname=Disk", "--summary", "x".repeat(20_000)];
  const { status, stderr } = await runCli(args, options);
  assert.equal(status, 4, stderr);
  assert.match(
    stderr,
    /account and its projects .*work\.creatorMsPerSecond: 200 ms.* \(WORK_LIMITED\); try again in \d+ s/,
  );
  const printed = JSON.parse((await runCli(["--json", ...args], options)).stderr) as Printed;
  assert.deepEqual([printed.error.code, printed.error.exitCode], ["WORK_LIMITED", 4]);
  const [detail] = printed.error.details as readonly { readonly by?: string; readonly setting?: string }[];
  assert.deepEqual([detail?.by, detail?.setting], ["creator", "work.creatorMsPerSecond"]);
});
