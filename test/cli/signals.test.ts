import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("SIGUSR1, SIGUSR2 and SIGALRM leave the server as it is, without an inspector; SIGQUIT stops it in order", async (t) => {
  const program = [
    "--import",
    "tsx",
    join(root, "bin/prism.ts"),
    "serve",
    "--data-dir",
    temporaryDir(t),
    "--port",
    "0",
  ];
  const child = spawn(process.execPath, program, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  await eventually("the server is ready", () => output.includes('"msg":"ready"'));
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGALRM"] as const) {
    child.kill(signal);
    await eventually(`${signal} is in the log`, () => output.includes(`"signal":"${signal}"`));
  }
  assert.doesNotMatch(output, /Debugger listening/);
  child.kill("SIGQUIT");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.match(output, /"msg":"stopped"/);
});
