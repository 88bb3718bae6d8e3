import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ChildOutput } from "../helpers/child-output.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");

test("a server without cluster.servers loads neither the code of the cluster nor the client of NATS", async (t) => {
  const dir = temporaryDir(t);
  const compiled = process.env["TEST_COMPILED"];
  const program =
    compiled === undefined
      ? ["--import", import.meta.resolve("tsx"), join(root, "bin/prism.ts")]
      : [join(compiled, "bin/prism.js")];
  // V8 writes which files each thread has loaded.
  const [loaded, data] = [join(dir, "loaded"), join(dir, "data")];
  const child = spawn(process.execPath, [...program, "serve", "--port", "0", "--data-dir", data], {
    cwd: dir,
    env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "development", NODE_V8_COVERAGE: loaded },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  const output = new ChildOutput(child);
  await output.until("it is ready", () => output.all.includes("Prism is ready"));
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output.all)?.[0];
  const { token } = (await (await fetch(`${url}/dev/token`)).json()) as { token: string };
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ type: "door.opened", payload: {} });
  assert.equal((await fetch(`${url}/api/v1/events`, { method: "POST", headers, body })).status, 202);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  const files = readdirSync(loaded).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(loaded, name), "utf8")) as { result: { url: string }[] };
    return result.map((each) => each.url);
  });
  assert.ok(
    files.some((file) => /\/src\/app\/open-store\.[jt]s/.test(file)),
    "files of the server are seen",
  );
  assert.deepEqual(
    files.filter((file) => /\/src\/cluster\/|@nats-io/.test(file)),
    [],
  );
});
