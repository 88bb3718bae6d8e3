import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import test from "node:test";
import { EXIT } from "../../src/cli/output/exit-codes.ts";
import { readPage } from "../../src/features/health/status/manual.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli, runJson } from "./run-cli.ts";

const HERE = { cwd: tmpdir() };

interface Integration {
  readonly direction: "in" | "out";
  readonly preset: string;
  readonly docs: string;
  readonly setup: readonly string[];
}

test("all programs and services are listed without a server, each with its page", async () => {
  const all = await runJson<Integration[]>(["integrations"], HERE);
  assert.ok(all.filter(({ direction }) => direction === "in").length >= 25);
  assert.ok(all.filter(({ direction }) => direction === "out").length >= 20);
  for (const { preset, docs, setup } of all) {
    assert.equal(setup.length, 3, preset);
    assert.ok(readPage(docs), `${preset}: prism docs ${docs}`);
  }
  const incoming = await runJson<Integration[]>(["integrations", "--in"], HERE);
  assert.deepEqual(new Set(incoming.map(({ direction }) => direction)), new Set(["in"]));
});

test("the command below the steps of each preset makes the receiver or the channel as printed", async (t) => {
  const prism = await startPrism(t);
  const here = { cwd: temporaryDir(t), env: { PRISM_DATA_DIR: prism.dir } };
  const all = await runJson<Integration[]>(["integrations"], HERE);
  const lines = new Set<string>();
  for (const { preset } of all) {
    const { stdout } = await runCli(["integrations", preset], HERE);
    for (const [, line = ""] of stdout.matchAll(/^ {2}(prism (?:receivers|channels) create .*)$/gm)) lines.add(line);
  }
  assert.equal(lines.size, all.length);
  for (const line of lines) {
    // As a shell reads it.
    const shown = spawnSync("sh", ["-c", `for word in ${line}; do printf '%s\\0' "$word"; done`], { encoding: "utf8" });
    const [program, ...words] = shown.stdout.split("\0").slice(0, -1);
    assert.equal(program, "prism");
    const { status, stderr } = await runCli(words, here);
    // The hosts of examples have no address.
    assert.ok(status === 0 || /\(URL_REFUSED\)$/m.test(stderr), `${line}\n${stderr}`);
  }
});

test("a name shows how to set it up; an unknown one is exit code 6", async () => {
  const github = await runCli(["integrations", "github"], HERE);
  assert.match(
    github.stdout,
    /GitHub[^\n]* \(sends to Prism\)\n {2}1\. .+\n {2}2\. .+\n {2}3\. .+\n\n.*\n {2}prism docs integrations\/github/,
  );
  const none = await runCli(["integrations", "nothing-like-this"], HERE);
  assert.equal(none.status, EXIT.notFound);
});
