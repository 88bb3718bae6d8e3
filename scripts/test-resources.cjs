// Loaded before each test process (--require). Node's test runner maps every promise and handle to
// its test, in a table with a destroy hook for each: a fifth of the processor time of tests that
// send many requests. This notes the test on the resource itself, as AsyncLocalStorage does; errors
// after an await still fail the test that caused them.
const hooks = require("node:async_hooks");
const { isMainThread } = require("node:worker_threads");

const TEST_ID = Symbol("async id of the test");

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
}
