import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { runCli } from "./run-cli.ts";

const KEYS = ["4f1c0a52-0000-4000-8000-000000000001", "4f1d0a52-0000-4000-8000-000000000002"];

test("prism integrations claims opens the window, lists keys, assigns them and closes it", async (t) => {
  const prism = await startPrism(t);
  const run = async (...words: string[]) => {
    const options = { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir } };
    return runCli(["integrations", "claims", ...words], options);
  };
  assert.match((await run("list")).stdout, /the window is closed/);
  assert.match((await run("open", "--for", "1h")).stdout, /^the window is open until /);
  for (const key of KEYS) {
    const headers = { Authorization: `GenieKey ${key}` };
    const sent = await prism.post("/v2/alerts", { message: "Disk\u001b[2J full" }, { token: null, headers });
    assert.equal(sent.status, 202);
  }
  const { stdout: list } = await run("list");
  assert.match(list, /4f1c0a… {2}waits, from .*\n.*create {2}Disk.* full/);
  assert.ok(!list.includes("\u001b") && !list.includes(KEYS[0] ?? ""));
  assert.equal((await run("assign", "4f1c")).status, 2, "a name, or an integration");
  assert.equal((await run("assign", "99", "--name", "Zabbix")).status, 6);
  const made = await run("assign", "4f1c", "--name", "Zabbix");
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /Zabbix {2}has the key; 1 replayed, 0 listed only/);
  const taken = await run("assign", "4f1d", "--integration", "Zabbix", "--json");
  assert.equal((JSON.parse(taken.stdout) as { integration: { prefix: string } }).integration.prefix, "4f1d0a");
  assert.match((await run("list")).stdout, /4f1c0a… {2}assigned to /);
  assert.equal((await run("discard", "4f1d")).status, 6, "an assigned one");
  const headers = { Authorization: "GenieKey 5f1d0a52-0000-4000-8000-000000000003" };
  await prism.post("/v2/alerts", { message: "Stranger" }, { token: null, headers });
  assert.equal((await run("discard", "5f1d")).stdout, "discarded\n");
  assert.ok(!(await run("list")).stdout.includes("5f1d0a"));
  assert.match((await run("close")).stdout, /the window is closed/);
  assert.equal((await run("open", "--for", "8d")).status, 7);
});
