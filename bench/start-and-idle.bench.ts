/**
 * Time from starting the executable to its first response, and its memory when idle, compared with
 * a bare uWebSockets.js server on the same Node.
 */

import "../scripts/node-version.mjs";
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryMiB } from "./lib/process-figures.ts";

import { median, report, round } from "./lib/report.ts";

const STARTS = 11;
const IDLE_MS = 5000;
const PORT = 39_871;
const root = join(import.meta.dirname, "..");

const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
// A copy, like a download: how a file was written changes the mapped part of it by 15 MiB.
const executable = join(dir, "prism");
copyFileSync(join(root, "dist/prism"), executable);
const prism = await measure(
  executable,
  ["serve", "--port", String(PORT), "--data-dir", join(dir, "data")],
  "/health/live",
);
const bareCode = `const u=require(${JSON.stringify(join(root, "node_modules/uWebSockets.js"))});u.App().get("/*",(r)=>r.end("ok")).listen(${PORT},()=>{})`;
const bare = await measure(process.execPath, ["-e", bareCode], "/");
rmSync(dir, { recursive: true, force: true });
report(
  "start-and-idle",
  `${STARTS} starts on an existing database, median; memory after ${IDLE_MS / 1000} s without requests`,
  [
    { program: "prism serve", "first answer ms": round(prism.startMs), "idle MiB": round(prism.idleMiB, 1) },
    { program: "bare uWebSockets.js", "first answer ms": round(bare.startMs), "idle MiB": round(bare.idleMiB, 1) },
  ],
);

async function measure(
  command: string,
  args: readonly string[],
  path: string,
): Promise<{ startMs: number; idleMiB: number }> {
  const times: number[] = [];
  let idleMiB = 0;
  for (let i = 0; i < STARTS; i++) {
    const startedAt = performance.now();
    const child = spawn(command, [...args], {
      cwd: dir,
      stdio: "ignore",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_ENV: "development" },
    });
    await firstAnswer(path);
    // The first start creates the database and unpacks the addons.
    if (i > 0) times.push(performance.now() - startedAt);
    if (i === STARTS - 1) {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
      idleMiB = memoryMiB(child.pid ?? 0).resident;
    }
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
  return { startMs: median(times), idleMiB };
}

async function firstAnswer(path: string): Promise<void> {
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${PORT}${path}`);
      await response.arrayBuffer();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
