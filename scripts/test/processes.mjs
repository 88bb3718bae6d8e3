// One process of tests: what it reports becomes events for the reporter, and a result.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { inspect } from "node:util";
import { originalOf, withoutCompiled } from "./positions.mjs";

const PRELOAD = `--require=${join(import.meta.dirname, "resources.cjs")}`;
const EVENTS = `--test-reporter=${join(import.meta.dirname, "events.mjs")}`;
/** For all files of a process together, also on a busy machine: ends a test that hangs. */
const LIMIT_MS = 1_800_000;
/** A process that its tests have left behind may hold the output open. */
const OUTPUT_MS = 10_000;
/** Each process says its own counts at the end; scripts/test.mjs says those of all. */
const OWN_COUNT = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;
const CANCELLED = new Set(["cancelledByParent", "testAborted", "testTimeoutFailure"]);

/** The counts of Node's runner. */
export const COUNTS = ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo"];

/**
 * @param module a file that imports the test files
 * @param emit takes each event for the reporter. Those of a test come together, when it has ended
 * @returns the process, and its result: `counts`, the `failed` places where tests are defined (null
 *   when the process ended before its tests), and what tests `took` by those places
 */
export function startProcess(module, { environment, root, flags, name, emit }) {
  const child = spawn(process.execPath, [PRELOAD, EVENTS, ...flags, module], {
    cwd: root,
    env: { ...environment, TEST_EVENTS: "1" },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "advanced",
  });
  const result = { counts: Object.fromEntries(COUNTS.map((each) => [each, 0])), failed: new Set(), took: new Map() };
  const startedAt = Date.now();
  let open = [];
  let running;
  let hasEnded = false;
  child.on("message", ({ type, data, cpuMs }) => {
    if (type === "end") {
      hasEnded = true;
      spread(result.took, cpuMs);
      return;
    }
    if (type === "test:dequeue") {
      if (data.nesting === 0) running = data.name;
      return;
    }
    const event = { type, data: restored(data) };
    if (type === "cpu") {
      tookOf(result, data).cpuMs += cpuMs;
      return;
    }
    count(result, event);
    if (type === "test:diagnostic" && data.nesting === 0 && OWN_COUNT.test(data.message)) return;
    if (type === "test:plan" && data.nesting === 0) return;
    open.push(event);
    if (data.nesting > 0 || type === "test:start") return;
    for (const each of open) emit(each);
    open = [];
  });
  child.stdout.on("data", (chunk) => emit({ type: "test:stdout", data: { message: String(chunk) } }));
  child.stderr.on("data", (chunk) => emit({ type: "test:stderr", data: { message: String(chunk) } }));
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const ended = closed(child).then((end) => {
    clearTimeout(limit);
    if (hasEnded && (end === "0" || result.failed.size > 0)) return result;
    const text = `The process ended with ${end}${running === undefined ? "" : `, after the start of "${running}"`}.`;
    const data = {
      name,
      nesting: 0,
      testNumber: 1,
      details: { duration_ms: Date.now() - startedAt, error: shown("uncaughtException", text) },
    };
    for (const type of ["test:start", "test:fail"]) emit({ type, data });
    result.failed = null;
    result.counts.tests++;
    result.counts.fail++;
    return result;
  });
  return { child, ended };
}

/** @returns the exit code or signal, when its output has been read */
function closed(child) {
  return new Promise((resolve) => {
    let end = "";
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => {
      end = String(signal ?? code);
      setTimeout(() => resolve(end), OUTPUT_MS).unref();
    });
    child.on("close", () => resolve(end));
  });
}

function tookOf({ took }, { file }) {
  if (!took.has(file)) took.set(file, { ms: 0, cpuMs: 0 });
  return took.get(file);
}

function count(result, { type, data }) {
  if (type !== "test:pass" && type !== "test:fail") return;
  const { counts, failed } = result;
  const { failureType } = data.details.error ?? {};
  if (data.details.type === "suite") counts.suites++;
  else {
    counts.tests++;
    if (data.skip !== undefined) counts.skipped++;
    else if (data.todo !== undefined) counts.todo++;
    else if (type === "test:pass") counts.pass++;
    else counts[CANCELLED.has(failureType) ? "cancelled" : "fail"]++;
  }
  if (data.nesting > 0) return;
  if (type === "test:fail" && data.todo === undefined) failed.add(data.file);
  tookOf(result, data).ms += data.details.duration_ms;
}

/** Adds processor time in proportion to what each has taken. */
function spread(took, cpuMs) {
  const all = [...took.values()].reduce((sum, { ms }) => sum + ms, 0);
  if (all > 0) for (const each of took.values()) each.cpuMs += (cpuMs * each.ms) / all;
}

/** With positions in the sources, and an error that is shown as in its process. */
function restored(data) {
  if (data.file !== undefined && data.line !== undefined)
    Object.assign(data, originalOf(data.file, data.line, data.column));
  const { error } = data.details ?? {};
  if (error) data.details.error = shown(error.failureType, withoutCompiled(error.text));
  return data;
}

function shown(failureType, text) {
  return { failureType, [inspect.custom]: () => text };
}
