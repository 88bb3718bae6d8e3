/**
 * Memory before, during and after an hour of events: on a host with 128 MB (a control group of the
 * system, where one can be made) at 50 events a second, and without a limit at 500.
 */

import "../scripts/node-version.mjs";
import { chmodSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { addRules, eventBodies, setUp } from "./lib/prism-setup.ts";
import { memoryMiB } from "./lib/process-figures.ts";
import { startPrism } from "./lib/processes.ts";
import { type Row, report, round } from "./lib/report.ts";
import { runPaced } from "./lib/run-paced.ts";

const MINUTES = Number(process.env["BENCH_MINUTES"] ?? 60);
const LIMIT_MB = 128;
/** One load generator runs at most ten minutes. */
const PART_MINUTES = 5;
const IDLE_MS = 120_000;
const GROUP = `/sys/fs/cgroup/memory/prism-bench-${process.pid}`;

const SCRIPT = join(tmpdir(), `prism-limited-${process.pid}`);

const isLimited = makeLimited();
const rows = await Promise.all([
  hour(`${isLimited ? LIMIT_MB : "more than 128"} MB, 50 a second`, 50, isLimited ? SCRIPT : undefined),
  hour("no limit, 500 a second", 500),
]);
if (isLimited) rmdirSync(GROUP);
rmSync(SCRIPT, { force: true });
report("busy-hour", `${MINUTES} minutes of events, 10 rules, one event in a hundred notifies; MiB`, rows);

/** One server under load. It fails when a request is refused or the process ends. */
async function hour(name: string, perSecond: number, executable?: string): Promise<Row> {
  const server = await startPrism(executable === undefined ? {} : { executable });
  const setup = await setUp(server);
  await addRules(server, setup, 10);
  await setTimeout(IDLE_MS);
  const fresh = memoryMiB(server.pid);
  let peak = fresh;
  const watch = setInterval(() => {
    const now = memoryMiB(server.pid);
    peak = {
      anonymous: Math.max(peak.anonymous, now.anonymous),
      resident: Math.max(peak.resident, now.resident),
    };
  }, 1000);
  let p99 = 0;
  for (let minute = 0; minute < MINUTES; minute += PART_MINUTES) {
    const { answers } = await runPaced({
      port: server.port,
      headers: { "X-Api-Key": setup.apiKey },
      bodies: eventBodies(),
      perSecond,
      count: perSecond * Math.min(PART_MINUTES, MINUTES - minute) * 60,
    });
    p99 = Math.max(p99, answers.p99Ms);
  }
  clearInterval(watch);
  await setTimeout(IDLE_MS);
  const after = memoryMiB(server.pid);
  await server.stop();
  return {
    host: name,
    "fresh anonymous": round(fresh.anonymous, 1),
    "peak anonymous": round(peak.anonymous, 1),
    "peak resident": round(peak.resident, 1),
    "idle after it": round(after.anonymous, 1),
    "of fresh": round(after.anonymous / fresh.anonymous, 2),
    "p99 ms": round(p99, 1),
  };
}

/** Writes a script that starts Prism in a control group. @returns false where none can be made */
function makeLimited(): boolean {
  try {
    mkdirSync(GROUP);
    writeFileSync(join(GROUP, "memory.limit_in_bytes"), String(LIMIT_MB * 1_000_000));
  } catch {
    return false;
  }
  const executable = join(import.meta.dirname, "../dist/prism");
  writeFileSync(SCRIPT, `#!/bin/sh\necho $$ > ${GROUP}/cgroup.procs\nexec ${executable} "$@"\n`);
  chmodSync(SCRIPT, 0o755);
  return true;
}
