import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import test from "node:test";
import { EXIT } from "../../src/cli/output/exit-codes.ts";
import { readPage } from "../../src/features/operate/status/manual.ts";
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

test("a name shows how to set it up; an unknown one is exit code 6", async () => {
  const github = await runCli(["integrations", "github"], HERE);
  assert.match(
    github.stdout,
    /GitHub[^\n]* \(sends to Prism\)\n {2}1\. .+\n {2}2\. .+\n {2}3\. .+\n.*prism docs integrations\/github/,
  );
  const none = await runCli(["integrations", "nothing-like-this"], HERE);
  assert.equal(none.status, EXIT.notFound);
});
