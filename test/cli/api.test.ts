import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { operations } from "../../src/cli/operations.ts";
import { listening } from "../helpers/listening.ts";
import { startPrism } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { temporaryDir } from "../helpers/store.ts";
import { eachCase, makeDatabase, runCli, runJson } from "./run-cli.ts";

const FROZEN = join(import.meta.dirname, "operation-ids.txt");

test("the operations of the API keep their ids, which scripts and clients use", () => {
  const frozen = readFileSync(FROZEN, "utf8").trim().split("\n");
  const ids = [...operations().keys()];
  const gone = frozen.filter((id) => !ids.includes(id));
  assert.deepEqual(gone, [], "these ids are public: keep them, or keep an operation that answers as they did");
  const added = ids.filter((id) => !frozen.includes(id));
  assert.deepEqual(added, [], `add the new ids of this build to ${FROZEN}; from then on they do not change`);
});

test("prism api calls operations of a server", async (t) => {
  const step = stepsOf(t);
  const prism = await startPrism(t);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await runCli(["api", ...args], options);
    assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  };

  await step("members of the body are flags or name=value, of their kinds", async () => {
    const made = await runJson<Record<string, unknown>>(
      [
        "api",
        "createHeartbeat",
        "name=Nightly backup",
        "--timeout-ms",
        "60000",
        "--tags=a",
        "tags=b",
        "--manualResume",
      ],
      options,
    );
    assert.deepEqual(
      [made["name"], made["timeoutMs"], made["tags"], made["manualResume"]],
      ["Nightly backup", 60_000, ["a", "b"], true],
    );
    const id = String(made["id"]);
    await run("updateHeartbeat", `id=${id}`, "manualResume=false", 'tags=["c"]');
    const shown = JSON.parse(await run("getHeartbeat", "--id", id)) as Record<string, unknown>;
    assert.deepEqual([shown["manualResume"], shown["tags"]], [false, ["c"]]);
  });

  await step("an answer is indented, and one line with --json", async () => {
    assert.match(await run("listHeartbeats", "limit=1"), /^\{\n {2}"data": \[\n/);
    assert.match(await run("listHeartbeats", "--json"), /^\{"data":\[.*\}\n$/);
  });

  await step("--data is the body, and values replace its members", async () => {
    writeFileSync(join(prism.dir, "beat.json"), JSON.stringify({ name: "From a file", timeoutMs: 60_000 }));
    const made = JSON.parse(await run("createHeartbeat", "--data", "@beat.json", "graceMs=90000")) as Record<
      string,
      unknown
    >;
    assert.deepEqual([made["name"], made["timeoutMs"], made["graceMs"]], ["From a file", 60_000, 90_000]);
    const lines = '{"type":"a.first"}\n{"type":"a.second"}\n';
    const { stdout, stderr } = await runCli(["api", "sendEvents", "--data", "-", "projectId=default"], {
      ...options,
      input: lines,
    });
    assert.match(stdout, /"accepted": 2/, stderr);
    const refused = await runCli(["api", "sendEvents", "--data", "-", "projectId=nowhere"], {
      ...options,
      input: lines,
    });
    assert.match(refused.stderr, /No such project/);
  });

  await step("--all follows the pages of a list", async () => {
    const { data } = await runJson<{ data: unknown[] }>(["api", "listHeartbeats", "limit=1", "--all"], options);
    assert.equal(data.length, 2);
  });

  await step("an answer without a body prints nothing, and null with --json", async () => {
    const { data } = JSON.parse(await run("listHeartbeats")) as { data: { id: string }[] };
    assert.equal(await run("deleteHeartbeat", `id=${data[0]?.id}`), "");
    assert.equal(await run("deleteHeartbeat", `id=${data[1]?.id}`, "--json"), "null\n");
  });

  await step("an answer of text is printed as it is", async () => {
    assert.match(await run("getMetrics"), /^# HELP /m);
  });

  const cases = [
    {
      name: "an unknown operation",
      args: ["listHeartbeatz"],
      exit: 6,
      says: /no operation .*did you mean listHeartbeats\?/,
    },
    {
      name: "an unknown parameter",
      args: ["listHeartbeats", "statuss=up"],
      exit: 2,
      says: /no parameter statuss; did you mean status\?/,
    },
    { name: "a missing part of the path", args: ["getHeartbeat"], exit: 2, says: /getHeartbeat needs id/ },
    {
      name: "a number that is none",
      args: ["listHeartbeats", "limit=many"],
      exit: 2,
      says: /limit is a number, not many/,
    },
    {
      name: "a word that is no value",
      args: ["listHeartbeats", "up"],
      exit: 2,
      says: /up is not a value such as name=value/,
    },
    {
      name: "a body for a request without one",
      args: ["listHeartbeats", "--data", "{}"],
      exit: 2,
      says: /has no body/,
    },
    { name: "a refusal of the server", args: ["getHeartbeat", "id=none"], exit: 6, says: /HEARTBEAT_NOT_FOUND/ },
  ] as const;
  await eachCase(t, "refuses", cases, async ({ args, exit, says }) => {
    const { status, stderr } = await runCli(["api", ...args], options);
    assert.match(stderr, says);
    assert.equal(status, exit);
  });
});

test("prism api lists the operations, and shows the parameters of one, without a server", async (t) => {
  const options = { cwd: temporaryDir(t) };
  const { operations: listed } = await runJson<{ operations: { id: string; path: string }[] }>(["api"], options);
  assert.ok(listed.some(({ id, path }) => id === "listRules" && path === "/api/v1/rules"));
  const help = await runCli(["api", "createHeartbeat", "--help"], options);
  assert.match(help.stdout, /^POST \/api\/v1\/heartbeats$/m);
  assert.match(help.stdout, /^ {2}--name <text> +.*\(required\)$/m);
  const plain = await runCli(["api", "--help"], options);
  assert.match(plain.stdout, /^Usage: prism api /);
});

test("prism api works on a data directory without a server", async (t) => {
  const options = { cwd: temporaryDir(t) };
  await makeDatabase(options);
  await runJson(["api", "createProject", "name=Operations", "slug=ops"], options);
  const { data } = await runJson<{ data: { slug: string }[] }>(["api", "listProjects"], options);
  assert.ok(data.some(({ slug }) => slug === "ops"));
});

/** A server of another version: it has listHeartbeats at another path, one operation more, and no rules. */
async function otherVersion(t: TestContext): Promise<string> {
  const described = (operationId: string, name: string) => ({
    get: { operationId, summary: "List", parameters: [{ name, in: "query", schema: { type: "string" } }] },
  });
  const document = {
    info: { version: "9.1.0" },
    paths: {
      "/api/v2/heartbeats": described("listHeartbeats", "colour"),
      "/api/v2/stars": described("listStars", "q"),
    },
  };
  const server = createServer((request, response) => {
    const isKnown = request.url === "/openapi.json" || request.url?.startsWith("/api/v2/") === true;
    const error = { code: "NOT_FOUND", message: "No such path", requestId: "r1" };
    response.writeHead(isKnown ? 200 : 404, { "Content-Type": "application/json" });
    const answer = request.url === "/openapi.json" ? document : { url: request.url };
    response.end(JSON.stringify(isKnown ? answer : { error }));
  });
  const port = await listening(t, server);
  return `http://127.0.0.1:${port}`;
}

test("prism api calls a server of another version as that one describes its operations", async (t) => {
  const options = { cwd: temporaryDir(t), env: { PRISM_URL: await otherVersion(t), PRISM_TOKEN: "prt_other" } };
  const urlOf = async (...args: string[]) => (await runJson<{ url: string }>(["api", ...args], options)).url;
  assert.equal(await urlOf("listHeartbeats"), "/api/v2/heartbeats");
  assert.equal(await urlOf("listHeartbeats", "colour=red"), "/api/v2/heartbeats?colour=red");
  assert.equal(await urlOf("listStars", "q=x"), "/api/v2/stars?q=x");
  const { status, stderr } = await runCli(["api", "listRules", "--json"], options);
  const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
  assert.deepEqual([status, error.code], [6, "OPERATION_NOT_FOUND"]);
  assert.match(error.message, /, Prism 9\.1\.0, has no operation listRules; /);
});

test("the operations that commands call are there", () => {
  const root = join(import.meta.dirname, "../../src/cli");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const text = files.map((name) => readFileSync(join(root, name), "utf8")).join("\n");
  const called = [...text.matchAll(/(?:\b(?:of|list): |(?:callOf|listOf)(?:<[^;]*?>)?\(\s*\w+,\s*)"(\w+)"/g)].map(
    ([, id = ""]) => id,
  );
  assert.ok(called.length > 40, String(called.length));
  const found = called.filter((id) => !operations().has(id));
  assert.deepEqual(found, []);
});
