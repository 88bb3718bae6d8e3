// The reporter of a test process: it sends what happens to scripts/test.mjs, which prints it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { inspect } from "node:util";

const { send } = createRequire(import.meta.url)("./resources.cjs");
const PASSED_ON = new Set(["test:dequeue", "test:start", "test:pass", "test:fail", "test:diagnostic", "test:plan"]);
const TICK_MS = 10;

export default async function* report(events) {
  let cpuMs = null;
  for await (const { type, data } of events) {
    // What was loaded before the first test belongs to none.
    if (type === "test:dequeue") cpuMs ??= usedCpuMs();
    if (!PASSED_ON.has(type)) continue;
    const message = { type, data: plain(data) };
    if (data.nesting === 0 && (type === "test:pass" || type === "test:fail")) {
      const now = usedCpuMs();
      message.cpuMs = now - (cpuMs ?? now);
      cpuMs = now;
    }
    send(message);
  }
  const now = usedCpuMs();
  // Of processes that end with the last test, such as a browser.
  send({ type: "end", cpuMs: now - (cpuMs ?? now) });
  yield "";
}

/** Processor time of this process and of those that it has started and that have ended. */
function usedCpuMs() {
  try {
    const fields = readFileSync("/proc/self/stat", "latin1").replace(/.*\) /s, "").split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
}

/** An error becomes its text: a copy of it would lose members that it shows. */
function plain({ name, nesting, testNumber, file, line, column, skip, todo, message, level, count, details }) {
  const { duration_ms, type, error } = details ?? {};
  const own = { name, nesting, testNumber, file, line, column, skip, todo, message, level, count };
  return { ...own, details: details && { duration_ms, type, error: error && textOf(error) } };
}

function textOf(error) {
  const shown = error.code === "ERR_TEST_FAILURE" ? error.cause : error;
  return { failureType: error.failureType, text: inspect(shown, { breakLength: Number.POSITIVE_INFINITY }) };
}
