// Loaded before each test process (--require). Node's test runner maps every promise and handle to
// its test, in a table with a destroy hook for each: a fifth of the processor time of tests that
// send many requests. This notes the test on the resource itself, as AsyncLocalStorage does; errors
// after an await still fail the test that caused them.
const hooks = require("node:async_hooks");
const { isMainThread } = require("node:worker_threads");

// The way to scripts/test.mjs (processes.mjs), which code under test and its processes must not find.
exports.send = () => false;
if (process.env.TEST_EVENTS) {
  exports.send = process.send.bind(process);
  delete process.env.TEST_EVENTS;
  delete process.send;
}

const CHECK_MS = 1000;
const IDLE_CHECKS = 5;
/** That timer, and the pipe to scripts/test.mjs. */
const OWN_RESOURCES = new Set(["Timeout", "PipeWrap"]);
const TEST_ID = Symbol("async id of the test");

/**
 * Nothing is left that could end a test, as after a lost callback: Node 24 keeps a timer of its own and
 * waits for ever. Its handler of `beforeExit` reports the tests that have not ended when it gets true.
 */
function endIfNothingComes() {
  let idle = 0;
  const check = () => {
    const isIdle = process.getActiveResourcesInfo().every((type) => OWN_RESOURCES.has(type));
    idle = isIdle ? idle + 1 : 0;
    if (idle === IDLE_CHECKS) process.emit("beforeExit", true);
    if (idle > IDLE_CHECKS) process.exit();
  };
  setInterval(check, CHECK_MS).unref();
}

if (isMainThread) {
  const { createHook, executionAsyncId, executionAsyncResource } = hooks;
  hooks.createHook = (runner) =>
    createHook({
      init(asyncId, type, triggerAsyncId, resource) {
        if (type === "Test") {
          runner.init(asyncId, type, triggerAsyncId, resource);
          resource[TEST_ID] = asyncId;
        } else resource[TEST_ID] = executionAsyncResource()[TEST_ID];
      },
    });
  hooks.executionAsyncId = () => executionAsyncResource()[TEST_ID] ?? executionAsyncId();
  // It takes both functions as it is loaded.
  require("node:test");
  Object.assign(hooks, { createHook, executionAsyncId });
  // Node 20 may loop for ever while it frees what an ended process has left. The test runner reports
  // at `beforeExit`, so this ends the process after that.
  process.once("beforeExit", () => process.on("exit", () => process.exit()));
  process.once("beforeExit", endIfNothingComes);
}
