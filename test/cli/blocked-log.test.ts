import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { commandLine } from "./run-cli.ts";

/** More log than a pipe or a socket and the writer's own queue take together. */
const REQUESTS = 2500;

async function serve(t: TestContext, stdout: number | "pipe"): Promise<{ child: ChildProcess; url: string }> {
  const dir = temporaryDir(t);
  const port = await lastingPort();
  const child = spawn(...commandLine(["serve", "--data-dir", dir, "--port", String(port)]), {
    env: { ...process.env, PRISM_RATE_LIMIT_ENABLED: "false" },
    stdio: ["ignore", stdout, "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  const url = `http://127.0.0.1:${port}`;
  await eventually("the server answers", async () => (await fetch(`${url}/health`).catch(() => null))?.ok === true);
  return { child, url };
}

async function fillLog(url: string): Promise<void> {
  const headers = { "X-Correlation-Id": "c".repeat(120) };
  for (let sent = 0; sent < REQUESTS; sent += 50) {
    const replies = await Promise.all(Array.from({ length: 50 }, () => fetch(`${url}/api/v1/rules`, { headers })));
    for (const reply of replies) {
      await reply.arrayBuffer();
      assert.equal(reply.status, 401);
    }
  }
}

/** The numbers of lines that the log says were lost; every line is whole. */
function lostIn(text: string): number[] {
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { ns: string; lines?: number });
  return lines.filter(({ ns }) => ns === "prism:log").map(({ lines }) => lines ?? 0);
}

test("a pipe of the log that is not read does not stop the server, and the log says later how many lines it lost", async (t) => {
  const fifo = join(temporaryDir(t), "log");
  execFileSync("mkfifo", [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY);
  t.after(() => closeSync(reader));
  const { child, url } = await serve(t, writer);
  closeSync(writer);
  await fillLog(url);
  const chunk = Buffer.alloc(65_536);
  let text = "";
  await eventually("the loss is in the log", () => {
    text += readSome(reader, chunk);
    return text.includes('"prism:log"') && text.endsWith("\n");
  });
  assert.ok((lostIn(text)[0] ?? 0) > 0);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a server without a reader of its log stops at SIGTERM", async (t) => {
  const { child, url } = await serve(t, "pipe");
  await fillLog(url);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

function readSome(fd: number, chunk: Buffer): string {
  try {
    return chunk.toString("utf8", 0, readSync(fd, chunk));
  } catch {
    return "";
  }
}
