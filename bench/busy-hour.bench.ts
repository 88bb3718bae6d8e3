/**
 * Memory before, during and after an hour of events: on a host with 128 MB (a control group of the
 * system, where one can be made) at 50 events a second, and without a limit at 500.
 */

import { chmodSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { addRules, eventBodies, setUp } from "./lib/prism-setup.ts";
import { memoryMiB } from "./lib/process-figures.ts";
import { startPrism } from "./lib/processes.ts";
import { type Row, report, round } from "./lib/report.ts";
import { runPaced } from "./lib/run-paced.ts";

const MINUTES = Number(process.env["BENCH_MINUTES"] ?? 60);
const LIMIT_MIB = 128;
/** One load generator runs at most ten minutes. */
const PART_MINUTES = Math.min(5, MINUTES);
const IDLE_MS = 120_000;
const GROUP = `/sys/fs/cgroup/memory/prism-bench-${process.pid}`;

const rows = await Promise.all([
  hour(`${LIMIT_MIB} MB, 50 a second`, 50, isLimited() ? limited() : undefined),
  hour("no limit, 500 a second", 500),
]);
if (isLimited()) rmdirSync(GROUP);
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
      count: perSecond * PART_MINUTES * 60,
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

function isLimited(): boolean {
  try {
    mkdirSync(GROUP, { recursive: true });
    return readFileSync(join(GROUP, "memory.limit_in_bytes"), "latin1").length > 0;
  } catch {
    return false;
  }
}

/** A script that starts Prism inside of the control group. */
function limited(): string {
  writeFileSync(join(GROUP, "memory.limit_in_bytes"), String(LIMIT_MIB * 1_000_000));
  const script = `/tmp/prism-limited-${process.pid}`;
  const executable = join(import.meta.dirname, "../dist/prism");
  writeFileSync(script, `#!/bin/sh\necho $$ > ${GROUP}/cgroup.procs\nexec ${executable} "$@"\n`);
  chmodSync(script, 0o755);
  return script;
}
