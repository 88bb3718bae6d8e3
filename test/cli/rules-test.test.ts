import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { RuleTest as Verdict } from "../../src/client/api-types.gen.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { eachCase, runCli, runJson } from "./run-cli.ts";

test("rules test, without server or data directory", async (t) => {
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "event.json"), '{"type":"payment","amount":1500}');
  writeFileSync(join(cwd, "condition.txt"), "event.amount > 1000\n");
  writeFileSync(
    join(cwd, "rule.json"),
    JSON.stringify({ condition: "event.amount > 1", titleTemplate: "Got {{event.amount}}", messageTemplate: "m" }),
  );

  await t.test("says yes with what each part was worth", async () => {
    const args = ["rules", "test", "--condition", "event.type == 'payment' && event.amount > 1000"];
    const { status, stdout } = await runCli([...args, "--event", "@event.json"], { cwd });
    assert.equal(status, 0);
    assert.deepEqual(stdout.split("\n"), [
      "matched: yes",
      '  "payment"  event.type',
      "  true       event.type == 'payment'",
      "  1500       event.amount",
      "  true       event.amount > 1000",
      "",
    ]);
  });

  await t.test("warns of what can never be true, and shows decimals and what is wrong with a step", async () => {
    const condition = "dec(event.amount) > dec('5') and event.type == 5";
    const { status, stdout } = await runCli(["rules", "test", "--condition", condition, "--event", "@event.json"], {
      cwd,
    });
    assert.equal(status, 0);
    assert.match(stdout, /1500 \(decimal\)/);
    assert.match(stdout, /\^ types are never converted/);
    assert.match(stdout, /warning, line 1, column 34: types are never converted[^\n]*\n[^\n]*\n {35}\^/);
  });

  await t.test("reads a condition, or a rule, from a file, and the event from stdin", async () => {
    const input = '{"amount":7}';
    const [text, rule] = await Promise.all([
      runJson<Verdict>(["rules", "test", "--file", "condition.txt", "--event", "-"], { cwd, input }),
      runJson<Verdict>(["rules", "test", "--file", "rule.json", "--event", "-"], { cwd, input }),
    ]);
    assert.deepEqual([text.matched, text.trace.at(-1)?.value], [false, false]);
    assert.deepEqual([rule.matched, rule.title], [true, "Got 7"]);
  });

  const cases = [
    {
      name: "a condition that does not read exits 7 with a caret under the place",
      args: ["--condition", "event.type = 'x'", "--event", "{}"],
      status: 7,
      says: /^prism: condition, line 1, column 12: .*INVALID_CONDITION\)\n {2}event\.type = 'x'\n {13}\^\n {2}expected ==\n$/,
    },
    {
      name: "an unknown name is pointed at in its own line",
      args: ["--condition", "event.a == 1 and\n  process.exit()", "--event", "{}"],
      status: 7,
      says: /line 2, column 3: .*\n {4}process\.exit\(\)\n {4}\^\n/,
    },
    {
      name: "another answer than expected exits 8",
      args: ["--condition", "event.amount > 1", "--event", "@event.json", "--expect", "false"],
      status: 8,
      says: /expected false, but the condition gave true/,
    },
    {
      name: "the expected answer exits 0",
      args: ["--condition", "event.amount > 1", "--event", "@event.json", "--expect", "true"],
      status: 0,
      says: /^$/,
    },
    {
      name: "no condition at all exits 2",
      args: ["--event", "{}"],
      status: 2,
      says: /give --condition, --rule or --file/,
    },
    {
      name: "an event that is not an object exits 2",
      args: ["--condition", "true", "--event", "[1]"],
      status: 2,
      says: /--event must be a JSON object/,
    },
    {
      name: "an event that ingest would refuse exits 7",
      args: ["--condition", "true", "--event", '{"source":[]}'],
      status: 7,
      says: /source.*must be a string/,
    },
    {
      name: "a rule without a data directory exits 4",
      args: ["--rule", "x", "--event", "{}"],
      status: 4,
      says: /there is no database at/,
    },
  ];
  await eachCase(t, "exit codes and messages", cases, async (c) => {
    const { status, stderr } = await runCli(["rules", "test", ...c.args], { cwd });
    assert.equal(status, c.status, stderr);
    assert.match(stderr, c.says);
  });
});

test("rules test --rule takes the rule from the data directory or from a server", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_TOKEN: prism.adminToken };
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "big",
    condition: "event.amount > 5",
    targetUsers: ["me"],
    titleTemplate: "Got {{event.amount}}",
  });
  const args = ["rules", "test", "--event", '{"amount":7}', "--rule"];
  const [offline, online, missingThere, missingHere, caret] = await Promise.all([
    runJson<Verdict>([...args, rule.id, "--data-dir", prism.dir], { cwd }),
    runJson<Verdict>([...args, rule.id, "--url", prism.url], { cwd, env }),
    runCli([...args, "nix", "--url", prism.url], { cwd, env }),
    runCli([...args, "nix", "--data-dir", prism.dir], { cwd }),
    runCli(["rules", "test", "--event", "{}", "--condition", "1 <", "--url", prism.url], { cwd, env }),
  ]);
  assert.deepEqual(online, offline);
  assert.deepEqual([online.matched, online.title], [true, "Got 7"]);
  assert.deepEqual([missingThere.status, missingHere.status], [6, 6]);
  assert.equal(caret.status, 7);
  assert.match(caret.stderr, /\n {2}1 <\n {2,}\^/);
});
