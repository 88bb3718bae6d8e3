// The reporter of a test process: it sends what happens to scripts/test.mjs, which prints it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { inspect } from "node:util";

const { send } = createRequire(import.meta.url)("./resources.cjs");
const PASSED_ON = new Set(["test:dequeue", "test:start", "test:pass", "test:fail", "test:diagnostic", "test:plan"]);
const TICK_MS = 10;

/** What was loaded before the first test belongs to none. */
const loadedMs = usedCpuMs();

export default async function* report(events) {
  let used = loadedMs;
  let ended = [];
  /** Events of tests that do not wait arrive together, after the last of them. */
  const sendCpu = () => {
    const now = usedCpuMs();
    const ms = ended.reduce((sum, test) => sum + test.ms, 0);
    for (const test of ended) send({ type: "cpu", data: test.place, cpuMs: ((now - used) * test.ms) / ms });
    if (ended.length > 0) [used, ended] = [now, []];
  };
  for await (const { type, data } of events) {
    if (!PASSED_ON.has(type)) continue;
    send({ type, data: plain(data) });
    if (data.nesting > 0 || (type !== "test:pass" && type !== "test:fail")) continue;
    const { file, line, column } = data;
    if (ended.push({ place: { file, line, column }, ms: data.details.duration_ms }) === 1) setImmediate(sendCpu);
  }
  sendCpu();
  // Of processes that end with the last test, such as a browser.
  send({ type: "end", cpuMs: usedCpuMs() - used });
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
