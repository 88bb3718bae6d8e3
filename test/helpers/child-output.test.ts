import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test, { type TestContext } from "node:test";
import { ChildOutput } from "./child-output.ts";

/** A Node process that runs the text. */
function run(t: TestContext, text: string): ChildOutput {
  const output = new ChildOutput(spawn(process.execPath, ["-e", text]));
  t.after(() => output.stop());
  return output;
}

test("a wait for a program that cannot be started fails at once, and so does its end", async () => {
  const output = new ChildOutput(spawn("/nowhere/program"));
  await assert.rejects(
    output.until("ready", () => false),
    /ENOENT before ready/,
  );
  await assert.rejects(output.ended, { code: "ENOENT" });
  await output.stop();
});

test("a wait fails with all output when the process ends, and not when the output came before", async (t) => {
  const output = run(t, 'console.log("one"); console.error("two"); process.exitCode = 3');
  await assert.rejects(
    output.until("three", () => output.all.includes("three")),
    /it ended with 3 before three, in:\none\ntwo\n/,
  );
  await output.until("one", () => output.stdout.includes("one"));
  assert.deepEqual(await output.ended, { code: 3, signal: null });
});

test("a process that is stopped ends by the signal, once", async (t) => {
  const output = run(t, 'console.log("up"); setInterval(() => 0, 1000)');
  await output.until("up", () => output.stdout.includes("up"));
  assert.ok(output.isRunning);
  await output.stop();
  await output.stop();
  assert.deepEqual([await output.ended, output.isRunning], [{ code: null, signal: "SIGKILL" }, false]);
});
