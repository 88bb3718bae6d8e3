import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Rule } from "../../src/client/api-types.gen.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { eachCase, executableOf, runCli, runJson } from "./run-cli.ts";

const RULE = { condition: "event.type == 'x'", targetUsers: ["me"] };

async function setUp(t: Parameters<typeof startPrism>[0]) {
  const prism = await startPrism(t);
  await prism.post("/api/v1/projects", { name: "Shop", slug: "shop" });
  const make = async (name: string, projectId: string) =>
    (await prism.post<Rule>("/api/v1/rules", { ...RULE, name, projectId })).body.id;
  const ids = { full: await make("Disk full", "default"), low: await make("Disk low", "default") };
  const shop = await make("Disk full", "shop");
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const rule = async (id: string) => (await prism.get<Rule>(`/api/v1/rules/${id}`)).body;
  const run = (args: readonly string[], input = "") => runCli(["rules", ...args], { ...options, input });
  return { prism, ids: { ...ids, shop }, options, rule, run };
}

test("rules enable, disable and delete", async (t) => {
  const { prism, ids, options, rule, run } = await setUp(t);

  await t.test("by name in a project, by id, or by the beginning of a name", async () => {
    const off = await run(["disable", "Disk full", "--project", "shop"]);
    assert.deepEqual([off.status, off.stdout], [0, `${ids.shop}  Disk full  disabled\n`]);
    assert.deepEqual([(await rule(ids.shop)).active, (await rule(ids.full)).active], [false, true]);
    const changed = await runJson<Rule>(["rules", "enable", ids.shop], options);
    assert.deepEqual([changed.id, changed.active, (await rule(ids.shop)).active], [ids.shop, true, true]);
    assert.equal((await run(["disable", "Disk l"])).status, 0);
    assert.equal((await rule(ids.low)).active, false);
  });

  await t.test("a name of several rules is refused with all of them", async () => {
    const { status, stderr } = await run(["disable", "Disk full"]);
    assert.equal(status, 7);
    assert.match(stderr, /^prism: Disk full matches 2 rules; give the id of one:\n/);
    assert.ok(stderr.includes(ids.full) && stderr.includes(ids.shop), stderr);
    const prefix = await run(["disable", "Disk", "--project", "default"]);
    assert.equal(prefix.status, 7);
    assert.match(prefix.stderr, /Disk matches 2 rules/);
    assert.equal((await rule(ids.full)).active, true);
  });

  await t.test("an unknown name is answered with the nearest", async () => {
    const { status, stderr } = await run(["disable", "Disc low"]);
    assert.deepEqual([status, stderr], [6, "prism: there is no rule Disc low; did you mean Disk low?\n"]);
  });

  await t.test("delete asks, and without a terminal the answer is no", async () => {
    const refused = await run(["delete", ids.low]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /nothing was deleted; --yes/);
    const deleted = await runJson(["rules", "delete", ids.low, "--yes"], options);
    assert.deepEqual(deleted, { id: ids.low, name: "Disk low", deleted: true });
    assert.equal((await prism.get(`/api/v1/rules/${ids.low}`)).status, 404);
  });
});

test("rules edit takes members from a file or stdin, and the server checks them", async (t) => {
  const { ids, rule, run } = await setUp(t);
  const edit = (text: string) => run(["edit", "Disk low", "--file", "-"], text);

  const changed = await edit('{"priority":5}');
  assert.deepEqual([changed.status, changed.stdout], [0, `${ids.low}  Disk low  version 2\n`]);
  assert.equal((await rule(ids.low)).priority, 5);
  const same = await run(["edit", ids.low], JSON.stringify(await rule(ids.low)));
  assert.deepEqual([same.status, same.stdout, same.stderr], [0, "", "The rule is unchanged.\n"]);

  await eachCase(
    t,
    "what is not valid changes nothing",
    [
      {
        name: "a condition",
        text: '{"condition":"event.n >> 1"}',
        says: /INVALID_CONDITION\)\n {2}event\.n >> 1\n +\^\n/,
      },
      { name: "a name that is taken", text: '{"name":"Disk full"}', says: /NAME_TAKEN/ },
      { name: "no JSON", text: "{", says: /this is not JSON/ },
      { name: "a list", text: "[]", says: /a rule is a JSON object/ },
    ],
    async ({ text, says }) => {
      const { status, stderr } = await edit(text);
      assert.equal(status, 7, stderr);
      assert.match(stderr, says);
    },
  );
  assert.equal((await rule(ids.low)).version, 2);
});

/** Runs `rules edit` on a terminal of its own; the editor writes each of `texts` in turn. */
async function editOnTerminal(prism: TestPrism, id: string, changes: readonly string[], answers: string) {
  const log = join(prism.dir, "edits");
  const editor = join(prism.dir, "editor.sh");
  writeFileSync(log, "");
  const cases = changes.map((sed, at) => `${at + 1}) sed -i ${JSON.stringify(sed)} "$1" ;;`).join("\n");
  writeFileSync(editor, `#!/bin/sh\necho edit >> ${log}\ncase $(wc -l < ${log}) in\n${cases}\nesac\n`);
  chmodSync(editor, 0o700);
  const command = [...executableOf(), "rules", "edit", id].map((part) => `'${part}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd: prism.dir,
    env: {
      PATH: process.env["PATH"],
      HOME: prism.dir,
      TMPDIR: prism.dir,
      PRISM_URL: prism.url,
      PRISM_TOKEN: prism.adminToken,
      VISUAL: editor,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  let questions = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    const asked = text.split("Type yes:").length - 1;
    if (asked > questions) child.stdin.write(`${answers}\n`);
    questions = asked;
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status, text, edits: readFileSync(log, "utf8").split("\n").length - 1 };
}

test("rules edit opens the editor until the rule is valid, and keeps the text of a person who gives up", async (t) => {
  const { prism, ids, rule } = await setUp(t);
  const broken = "s/event.type == 'x'/event.n >> 1/";
  const again = await editOnTerminal(prism, ids.low, [broken, "s/>> 1/> 1/"], "yes");
  assert.deepEqual([again.status, again.edits], [0, 2], again.text);
  assert.match(again.text, /event\.n >> 1\r?\n +\^/);
  assert.equal((await rule(ids.low)).condition, "event.n > 1");

  const given = await editOnTerminal(prism, ids.full, [broken], "no");
  assert.deepEqual([given.status, given.edits], [7, 1], given.text);
  const [, file = ""] = /your text is in (\S+\.json)/.exec(given.text) ?? [];
  assert.match(readFileSync(file, "utf8"), /"condition": "event\.n >> 1"/);
  assert.equal((await rule(ids.full)).version, 1);

  const unchanged = await editOnTerminal(prism, ids.full, [], "");
  assert.deepEqual([unchanged.status, unchanged.edits], [0, 1]);
  assert.match(unchanged.text, /The rule is unchanged\./);
});
