import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import type { StoredEvent } from "../../../src/module/module-api.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";

async function post(prism: TestPrism, ...types: string[]): Promise<void> {
  const { status } = await prism.post(
    "/api/v1/events",
    types.map((type) => ({ type })),
  );
  assert.equal(status, 202);
}

const cursorOf = (prism: TestPrism, name: string) =>
  scalarOf<number>(prism, "select cursor from event_consumers where name = ?", name);

const names = (batch: readonly StoredEvent[]): string[] => batch.map(({ type }) => type);

test("S2-02: a new reader begins with what comes from now on, reads in order, and its place is kept", async (t) => {
  keepsPromise(t, "S2-02");
  const prism = await startPrism(t);
  await post(prism, "before");
  const seen: string[] = [];
  const read = async (batch: StoredEvent[]): Promise<void> => void seen.push(...names(batch));
  prism.parts.offers.consumers.consume("m:log", read);
  await post(prism, "a", "b");
  await post(prism, "c");
  await eventually("three events", () => seen.length === 3);
  assert.deepEqual(seen, ["a", "b", "c"]);
  const last = scalarOf<number>(prism, "select max(seq) from events");
  await eventually("the place is moved", () => cursorOf(prism, "m:log") === last);
  await prism.restart();
  await post(prism, "d");
  prism.parts.offers.consumers.consume("m:log", read);
  await eventually("what came while nobody read", () => seen.length === 4);
  assert.deepEqual(seen, ["a", "b", "c", "d"]);
});

test("a batch is repeated, whole and in order, until its handler succeeds", async (t) => {
  const prism = await startPrism(t);
  const attempts: string[][] = [];
  prism.parts.offers.consumers.consume("m:shaky", async (batch) => {
    attempts.push(names(batch));
    if (attempts.length < 3) throw new Error("not yet");
  });
  await post(prism, "a", "b");
  await eventually("the third attempt", () => attempts.length === 3);
  assert.deepEqual(attempts, [
    ["a", "b"],
    ["a", "b"],
    ["a", "b"],
  ]);
  await eventually("then the place moves", () => prism.parts.offers.consumers.lags()[0]?.lag === 0);
});

test("with maxAttempts an event that always fails is skipped and logged, and all others are handled", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const done: string[] = [];
  const handle = async (batch: StoredEvent[]): Promise<void> => {
    if (names(batch).includes("poison")) throw new Error("cannot read it");
    done.push(...names(batch));
  };
  prism.services.events.consume("m:careful", handle, { maxAttempts: 2 });
  await post(prism, "a", "poison", "b");
  await eventually("it has passed it", () => prism.parts.offers.consumers.lags()[0]?.lag === 0);
  assert.deepEqual(done, ["a", "b"]);
  await post(prism, "c");
  await eventually("it goes on", () => done.at(-1) === "c");
  const skipped = log.lines.filter(({ message }) => message.startsWith("consumer skipped an event"));
  const rows = skipped.map(({ level, fields }) => [level, fields["consumer"], typeof fields["eventId"]]);
  assert.deepEqual(rows, [["error", "m:careful", "string"]]);
});

test("one that works slowly gets one batch at a time, and has a lag meanwhile", async (t) => {
  const prism = await startPrism(t);
  const { consumers } = prism.parts.offers;
  const entered = deferred<void>();
  const gate = deferred<void>();
  let running = 0;
  const seen: string[] = [];
  consumers.consume("m:slow", async (batch) => {
    assert.equal(++running, 1);
    entered.resolve();
    await gate.promise;
    seen.push(...names(batch));
    running--;
  });
  await post(prism, "a");
  await entered.promise;
  await post(prism, ...Array.from({ length: 450 }, (_, n) => `t${n}`));
  assert.deepEqual(consumers.lags(), [{ name: "m:slow", lag: 451 }]);
  gate.resolve();
  await eventually("all of them", () => seen.length === 451);
  assert.deepEqual(seen, ["a", ...Array.from({ length: 450 }, (_, n) => `t${n}`)]);
});

test("a stopped reader finishes its batch, and another of its name starts after it", async (t) => {
  const prism = await startPrism(t);
  const { consumers } = prism.parts.offers;
  const entered = deferred<void>();
  const gate = deferred<void>();
  const first: string[] = [];
  const second: string[] = [];
  const end = consumers.consume("m:log", async (batch) => {
    entered.resolve();
    await gate.promise;
    first.push(...names(batch));
  });
  assert.throws(() => consumers.consume("m:log", async () => undefined), TypeError);
  await post(prism, "a");
  await entered.promise;
  const ended = end();
  consumers.consume("m:log", async (batch) => void second.push(...names(batch)));
  await post(prism, "b");
  assert.deepEqual(second, []);
  gate.resolve();
  await ended;
  await eventually("the second reads on", () => second.length === 1);
  assert.deepEqual([first, second], [["a"], ["b"]]);
});

test("events are what clients see: payload, times, level, correlation", async (t) => {
  const prism = await startPrism(t);
  const seen: StoredEvent[] = [];
  prism.parts.offers.consumers.consume("m:log", async (batch) => void seen.push(...batch));
  const body = { type: "door.opened", payload: { n: 1 }, level: "warn", source: "s", dedupeKey: "k" };
  const posted = await prism.post<{ id: string }>("/api/v1/events", body);
  const [event] = await eventually("the event", () => (seen.length === 1 ? seen : undefined));
  const reply = await prism.get(`/api/v1/events/${posted.body.id}`);
  const { notifications: _, ...shown } = reply.body;
  assert.deepEqual(event, shown);
});

test("numbers that a crash has skipped are no lag", async (t) => {
  const prism = await startPrism(t);
  await post(prism, "a");
  prism.parts.offers.consumers.consume("m:log", async () => undefined);
  await post(prism, "b");
  await eventually("read", () => cursorOf(prism, "m:log") === 2);
  await prism.services.db.write((trx) =>
    trx.updateTable("event_consumers").set({ cursor: 1 }).where("name", "=", "m:log").execute(),
  );
  await prism.services.db.write((trx) => trx.deleteFrom("events").where("seq", "=", 2).execute());
  await prism.restart();
  prism.parts.offers.consumers.consume("m:log", async () => undefined);
  await eventually("nothing before it", () => prism.parts.offers.consumers.lags()[0]?.lag === 0);
  assert.equal(rowsOf(prism, "select name from event_consumers").length, 1);
});
