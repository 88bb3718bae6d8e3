import assert from "node:assert/strict";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli } from "./run-cli.ts";

test("SIGUSR1, SIGUSR2 and SIGALRM leave the server as it is, without an inspector; SIGQUIT stops it in order", async (t) => {
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd: temporaryDir(t) });
  await server.until(/"msg":"ready"/);
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGALRM"] as const) {
    server.signal(signal);
    await server.until(new RegExp(`"signal":"${signal}"`));
  }
  assert.doesNotMatch(server.stdout + server.stderr, /Debugger listening/);
  server.signal("SIGQUIT");
  assert.equal(await server.ended(), 0);
  assert.match(server.stdout, /"msg":"stopped"/);
});
