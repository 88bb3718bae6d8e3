import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

/** A folder in which `serve` would listen where `prism` does, by one of the files that it reads. */
function folderOf(t: TestContext, prism: TestPrism, name: string, text: string): string {
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, name), text.replaceAll("<port>", String(prism.app.port)));
  return cwd;
}

test("commands find the server that the settings of their folder name, and in development need no token", async (t) => {
  const prism = await startPrism(t);
  for (const [name, text, flags] of [
    [".env", "PORT=<port>\n", []],
    ["prism.config.json", '{"port": <port>}', []],
    ["other.json", '{"port": <port>, "host": "127.0.0.1"}', ["--config", "other.json"]],
  ] as const) {
    const cwd = folderOf(t, prism, name, text);
    const { status, stdout, stderr } = await runCli(["queue", "status", "--json", ...flags], { cwd });
    assert.equal(status, 0, `${name}: ${stderr}`);
    assert.ok(Array.isArray((JSON.parse(stdout) as { queues: unknown }).queues), stdout);
  }
});

test("without a database, a token and development mode a command names the directory and --url", async (t) => {
  const prism = await startPrism(t);
  const cwd = folderOf(t, prism, ".env", "NODE_ENV=test\nPORT=<port>\n");
  const { status, stderr } = await runCli(["queue", "status"], { cwd });
  assert.equal(status, 4);
  assert.match(stderr, /there is no database at .*prism\.db .*--url/);
});

test("a token in .env is for the server of its folder, and is not sent to one that --url names", async (t) => {
  const prism = await startPrism(t);
  const text = `NODE_ENV=test\nPORT=<port>\nPRISM_TOKEN=${prism.adminToken}\n`;
  const cwd = folderOf(t, prism, ".env", text);
  const [here, named] = await Promise.all([
    runCli(["queue", "status"], { cwd }),
    runCli(["queue", "status", "--url", prism.url], { cwd }),
  ]);
  assert.deepEqual([here.status, named.status], [0, 5], here.stderr);
});

test("a named server is never asked for a development token", async (t) => {
  const prism = await startPrism(t);
  const { status } = await runCli(["queue", "status", "--url", prism.url], { cwd: temporaryDir(t) });
  assert.equal(status, 5);
});

test("settings that serve would refuse are refused before anything is called", async (t) => {
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, ".env"), "PORT=many\n");
  const { status, stderr } = await runCli(["queue", "status"], { cwd });
  assert.equal(status, 3);
  assert.match(stderr, /PORT/);
});
