import assert from "node:assert/strict";
import test from "node:test";
import { Bus } from "../../src/core/bus.ts";
import { type Caller, currentCaller, runAs } from "../../src/core/caller.ts";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";

function newBus(): { bus: Bus; log: LogLines; heard: string[]; hear(name: string): () => void } {
  const log = new LogLines();
  const bus = new Bus(log);
  const heard: string[] = [];
  return { bus, log, heard, hear: (name) => () => void heard.push(name) };
}

test("handlers get payload, name and correlation id, in the order in which they subscribed, after emit has returned", async () => {
  const { bus, heard, hear } = newBus();
  const calls: unknown[] = [];
  bus.on("a:*", hear("pattern"));
  bus.on("a:b", (payload, meta) => void calls.push([payload, meta]));
  bus.on("a:b", hear("exact"));
  bus.emit("a:b", { n: 1 }, "c-1");
  assert.deepEqual(heard, [], "not before emit has returned");
  await eventually("they have heard", () => heard.length === 2);
  assert.deepEqual(heard, ["pattern", "exact"]);
  assert.deepEqual(calls, [[{ n: 1 }, { event: "a:b", correlationId: "c-1" }]]);
});

test("a handler runs on behalf of the emitter's caller, also after its own awaits and when the emitter has ended", async () => {
  const { bus } = newBus();
  const seen: (string | null)[] = [];
  bus.on("x", async () => {
    seen.push(currentCaller().requestId);
    await new Promise(setImmediate);
    seen.push(currentCaller().requestId);
  });
  const caller = (requestId: string): Caller => ({
    principal: null,
    process: "request",
    ip: null,
    requestId,
    correlationId: null,
  });
  runAs(caller("r-1"), () => bus.emit("x"));
  await runAs(caller("r-2"), () => bus.deliver("x", null, "c"));
  await bus.deliver("x", null, "c");
  await eventually("all have run", () => seen.length === 6);
  assert.deepEqual([...seen].sort(), [null, null, "r-1", "r-1", "r-2", "r-2"]);
});

test("a pattern receives everything below its prefix, and nothing else", async () => {
  const { bus, heard } = newBus();
  bus.on("msg:*", (_payload, { event }) => void heard.push(event));
  bus.on("msg:eu:*", (_payload, { event }) => void heard.push(`eu ${event}`));
  for (const event of ["msg:alerts", "msg:eu:paris", "msg", "msgs:alerts", "other"])
    await bus.deliver(event, null, "c");
  assert.deepEqual(heard, ["msg:alerts", "msg:eu:paris", "eu msg:eu:paris"]);
});

test("deliver returns the number of called handlers; zero is not a failure", async () => {
  const { bus, hear } = newBus();
  assert.deepEqual(await bus.deliver("x", null, "c"), { called: 0 });
  bus.on("x", hear("one"));
  bus.on("x", hear("two"));
  assert.deepEqual(await bus.deliver("x", null, "c"), { called: 2 });
});

test("a handler that throws or rejects is logged with the event, and harms neither the emitter nor the others", async () => {
  const { bus, log, heard, hear } = newBus();
  bus.on("x", () => {
    throw new Error("thrown");
  });
  bus.on("x", async () => {
    throw new Error("rejected");
  });
  bus.on("x", hear("the third"));
  assert.deepEqual(await bus.deliver("x", null, "c-9"), { called: 3 });
  await bus.idle();
  assert.deepEqual(heard, ["the third"]);
  assert.deepEqual(
    log.lines.map(({ level, fields }) => [level, fields["event"], fields["correlationId"], String(fields["err"])]),
    [
      ["error", "x", "c-9", "Error: thrown"],
      ["error", "x", "c-9", "Error: rejected"],
    ],
  );
});

test("a handler that never ends holds up no other event", async () => {
  const { bus, heard, hear } = newBus();
  const never = deferred<void>();
  bus.on("x", () => never.promise);
  bus.on("x", hear("after it"));
  await bus.deliver("x", null, "c");
  await bus.deliver("x", null, "c");
  assert.deepEqual(heard, ["after it", "after it"]);
  let isIdle = false;
  const idle = bus.idle().then(() => {
    isIdle = true;
  });
  await new Promise(setImmediate);
  assert.equal(isIdle, false, "idle waits for what runs");
  never.resolve();
  await idle;
});

test("a removed handler is not called again, also for pending events", async () => {
  const { bus, heard, hear } = newBus();
  const off = bus.on("x", hear("gone"));
  bus.on("x", hear("here"));
  const delivered = bus.deliver("x", null, "c");
  off();
  off();
  assert.deepEqual(await delivered, { called: 1 });
  assert.deepEqual(heard, ["here"]);
});

test("once is called once, also for two events at the same time", async () => {
  const { bus, heard, hear } = newBus();
  bus.once("x", hear("once"));
  const off = bus.once("x", hear("never"));
  off();
  bus.emit("x");
  await bus.deliver("x", null, "c");
  assert.deepEqual(heard, ["once"]);
});

test("a handler may emit, subscribe and unsubscribe", async () => {
  const { bus, heard, hear } = newBus();
  bus.on("first", () => {
    bus.on("second", hear("new"));
    bus.emit("second");
  });
  await bus.deliver("first", null, "c");
  await eventually("the second has been heard", () => heard.length === 1);
});

test("an emitter of many events can check first for handlers", () => {
  const { bus } = newBus();
  assert.deepEqual([bus.hasSubscribers("event:"), bus.hasSubscriber("event:a")], [false, false]);
  const offs = [bus.on("event:a", () => undefined), bus.on("shop:*", () => undefined)];
  assert.deepEqual(
    [bus.hasSubscribers("event:"), bus.hasSubscriber("event:a"), bus.hasSubscriber("event:b")],
    [true, true, false],
  );
  assert.deepEqual([bus.hasSubscribers("shop:"), bus.hasSubscriber("shop:opened:late")], [true, true]);
  for (const off of offs) off();
  assert.equal(bus.hasSubscribers("event:"), false);
});
