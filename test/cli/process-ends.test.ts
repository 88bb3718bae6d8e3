import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { confirm } from "../../src/cli/commands/access/prompt.ts";
import { CommandError, EXIT, ServerRefused } from "../../src/cli/output/exit-codes.ts";
import { Output } from "../../src/cli/output/output.ts";
import { reportFailure } from "../../src/cli/output/process-ends.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const source = new URL("../../src/cli/output/process-ends.ts", import.meta.url).href;

/** What is written to stderr from now on; nothing of it gets there. */
function stderrOf(t: TestContext): { text: string } {
  const said = { text: "" };
  t.mock.method(process.stderr, "write", (part: string | Uint8Array) => {
    said.text += String(part);
    return true;
  });
  return said;
}

test("an unexpected error is one line with a way to learn more, and exit 1", (t) => {
  const said = stderrOf(t);
  assert.equal(reportFailure(new RangeError("out of luck\n    at somewhere")), EXIT.failure);
  assert.equal(said.text, "prism: unexpected error: out of luck; DEBUG=prism:cli logs its stack\n");
  said.text = "";
  assert.equal(reportFailure("a string"), EXIT.failure);
  assert.match(said.text, /^prism: unexpected error: a string; /);
});

test("an uncaught error in a callback or promise ends the command in the same way", async (t) => {
  for (const failing of ["setTimeout(() => { throw new Error('lost') })", "Promise.reject(new Error('lost'))"]) {
    const script = `import { exitOnUncaught, reportFailure } from ${JSON.stringify(source)}; exitOnUncaught(reportFailure); ${failing}; setInterval(() => 0, 1000)`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { cwd: root });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [status] = await once(child, "close");
    assert.deepEqual([status, said], [EXIT.failure, "prism: unexpected error: lost; DEBUG=prism:cli logs its stack\n"]);
  }
});

test("an output that cannot be written is named as such, and exit 1", async (t) => {
  const script = `import { exitOnUncaught, endQuietlyOnBrokenPipe, reportFailure } from ${JSON.stringify(source)}; endQuietlyOnBrokenPipe(); exitOnUncaught(reportFailure); process.stdout.write("x"); setInterval(() => 0, 1000)`;
  const full = openSync("/dev/full", "w");
  t.after(() => closeSync(full));
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    cwd: root,
    stdio: ["ignore", full, "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = await once(child, "close");
  assert.deepEqual(
    [status, said],
    [EXIT.failure, "prism: the output cannot be written: ENOSPC: no space left on device, write\n"],
  );
});

test("an expected end says no more than its message", (t) => {
  const said = stderrOf(t);
  assert.equal(reportFailure(new CommandError(EXIT.notFound, "there is no such thing")), EXIT.notFound);
  assert.equal(said.text, "prism: there is no such thing\n");
});

test("what a server says cannot steer the terminal", (t) => {
  const said = stderrOf(t);
  assert.equal(reportFailure(new ServerRefused(404, "NOT_FOUND", "no \u001b[2Jrule\r", [])), EXIT.notFound);
  assert.equal(said.text, "prism: no \\u001b[2Jrule\\u000d (NOT_FOUND)\n");
});

test("work that blocks the event loop is shown on a terminal before it starts", (t) => {
  const said = stderrOf(t);
  setTerminal(t, true);
  const progress = new Output({ json: false, quiet: false, color: false }).progress("migrating");
  progress.show("0002_more");
  assert.match(said.text, /migrating: 0002_more, 0 s$/);
  progress.end();
  assert.ok(said.text.endsWith("\r\u001b[K"));
  said.text = "";
  new Output({ json: true, quiet: false, color: false }).progress("migrating").show("0002_more");
  assert.equal(said.text, "");
});

test("progress shows on a terminal once something takes over a second, and is wiped", (t) => {
  const said = stderrOf(t);
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  setTerminal(t, true);
  const out = new Output({ json: false, quiet: false, color: false });
  const progress = out.progress("exporting events");
  progress.update(10);
  t.mock.timers.tick(800);
  assert.equal(said.text, "");
  t.mock.timers.tick(400);
  assert.match(said.text, /exporting events: 10, 1 s$/);
  progress.update(20, 40);
  t.mock.timers.tick(1000);
  assert.match(said.text, /exporting events: 20 of 40 \(50 %\), 2 s$/);
  progress.end();
  assert.ok(said.text.endsWith("\r\u001b[K"));
  said.text = "";
  t.mock.timers.tick(5000);
  assert.equal(said.text, "");
});

test("without a terminal, with --quiet or with --json nothing shows progress", (t) => {
  const said = stderrOf(t);
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  setTerminal(t, true);
  const outputs = [
    new Output({ json: true, quiet: false, color: false }),
    new Output({ json: false, quiet: true, color: false }),
  ];
  const shown = outputs.map((out) => out.progress("waiting"));
  setTerminal(t, false);
  shown.push(new Output({ json: false, quiet: false, color: false }).progress("waiting"));
  t.mock.timers.tick(5000);
  for (const progress of shown) progress.end();
  assert.equal(said.text, "");
});

test("a question on a terminal", async (t) => {
  const ask = (isTTY: boolean) => {
    const input = Object.assign(new PassThrough(), { isTTY });
    const output = Object.assign(new PassThrough(), { isTTY });
    return { input, output, answer: confirm("Delete everything?", { input, output }) };
  };
  for (const c of [
    { name: "yes is yes", typed: "yes\n", answer: true },
    { name: "YES, too", typed: " YES \n", answer: true },
    { name: "y is not", typed: "y\n", answer: false },
    { name: "an empty line is not", typed: "\n", answer: false },
    { name: "Ctrl-D is not", typed: "\u0004", answer: false },
    { name: "the end of the input is not", typed: null, answer: false },
  ])
    await t.test(c.name, async () => {
      const { input, output, answer } = ask(true);
      if (c.typed === null) input.end();
      else input.write(c.typed);
      assert.equal(await answer, c.answer);
      assert.match(String(output.read()), /Delete everything\? Type yes: /);
    });

  await t.test("without a terminal there is no question", async () => {
    const { input, output, answer } = ask(false);
    input.write("yes\n");
    assert.equal(await answer, false);
    assert.equal(output.read(), null);
  });

  await t.test("Ctrl-C ends the command with 130", async (t) => {
    const exit = t.mock.method(process, "exit", () => undefined as never);
    const { input, answer } = ask(true);
    input.write("\u0003");
    input.end();
    await answer;
    assert.deepEqual(exit.mock.calls[0]?.arguments, [EXIT.interrupted]);
  });
});

function setTerminal(t: TestContext, isTTY: boolean): void {
  const before = Object.getOwnPropertyDescriptor(process.stderr, "isTTY");
  Object.defineProperty(process.stderr, "isTTY", { value: isTTY, configurable: true });
  t.after(() => {
    if (before) Object.defineProperty(process.stderr, "isTTY", before);
    else Reflect.deleteProperty(process.stderr, "isTTY");
  });
}
