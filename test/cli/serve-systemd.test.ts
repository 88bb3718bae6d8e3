import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli } from "./run-cli.ts";

test("serve tells systemd that it is ready, then again and again that its event loop runs", async (t) => {
  const cwd = temporaryDir(t);
  const notified = join(cwd, "notified");
  const program = join(cwd, "systemd-notify");
  writeFileSync(program, '#!/bin/sh\necho "$@" >>"$NOTIFY_SOCKET"\n');
  chmodSync(program, 0o755);
  const env = { PATH: `${cwd}:${process.env["PATH"]}`, NOTIFY_SOCKET: notified, WATCHDOG_USEC: "400000" };
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/Prism is ready/);
  const lines = (): string[] => (existsSync(notified) ? readFileSync(notified, "utf8").trim().split("\n") : []);
  await eventually("it reports again and again", () => lines().filter((line) => line === "WATCHDOG=1").length >= 5);
  // Two processes, which may end in another order.
  assert.ok(lines().includes("--ready"));
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});
