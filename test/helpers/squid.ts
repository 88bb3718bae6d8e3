// needs: squid
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { eventually } from "./eventually.ts";
import { lastingPort } from "./free-ports.ts";
import { temporaryDir } from "./store.ts";

export interface Squid {
  readonly url: string;
  /** Such as `CONNECT service.example.test:443 200`, each when it has ended. */
  connections(): string[];
}

/** Debian's squid, which resolves these names to this machine and refuses `refused.example.test`. */
export async function startSquid(t: TestContext, names: readonly string[]): Promise<Squid> {
  const port = await lastingPort();
  const dir = temporaryDir(t);
  // As root squid becomes another user, who must reach its folder.
  chmodSync(dir, 0o777);
  const parent = dirname(dir);
  if (process.getuid?.() === 0 && (statSync(parent).mode & 0o001) === 0) chmodSync(parent, 0o711);
  writeFileSync(join(dir, "hosts"), names.map((name) => `127.0.0.1 ${name}\n`).join(""));
  const lines = [
    `http_port 127.0.0.1:${port}`,
    `hosts_file ${join(dir, "hosts")}`,
    "acl refused dstdomain refused.example.test",
    "http_access deny refused",
    "http_access allow all",
    "cache deny all",
    "pid_filename none",
    "shutdown_lifetime 0 seconds",
    "logformat short %rm %ru %>Hs",
    `access_log stdio:${join(dir, "access.log")} short`,
    `cache_log ${join(dir, "cache.log")}`,
    `coredump_dir ${dir}`,
  ];
  writeFileSync(join(dir, "squid.conf"), `${lines.join("\n")}\n`);
  const env = { PATH: `${process.env["PATH"]}:/usr/sbin` };
  const squid = spawn("squid", ["-N", "-f", join(dir, "squid.conf")], { env, stdio: ["ignore", "pipe", "pipe"] });
  squid.on("error", () => assert.fail("squid is not installed: apt-get install squid"));
  t.after(() => squid.kill("SIGKILL"));
  let log = "";
  for (const stream of [squid.stdout, squid.stderr])
    stream.on("data", (part: Buffer) => {
      log += part.toString();
    });
  await eventually("squid listens", async () => {
    assert.equal(squid.exitCode, null, log);
    return isListening(port);
  });
  const read = (): string => {
    try {
      return readFileSync(join(dir, "access.log"), "utf8");
    } catch {
      return "";
    }
  };
  return {
    url: `http://127.0.0.1:${port}`,
    connections: () =>
      read()
        .split("\n")
        .filter((line) => line.startsWith("CONNECT")),
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
