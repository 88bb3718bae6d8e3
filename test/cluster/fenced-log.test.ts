import assert from "node:assert/strict";
import test from "node:test";
import { FencedLog, type LogRange, type LogTransport, WrongEnd } from "../../src/cluster/log/fenced-log.ts";
import type { LogMessage } from "../../src/cluster/log/log.ts";

/** What a transport answers, one after the other; the last one again and again. */
interface Answers {
  readonly publish?: readonly (number | Error)[];
  readonly get?: readonly (Buffer | null)[];
  readonly range?: readonly LogRange[];
  /** Sequences that a consumer delivers. */
  readonly consume?: readonly number[];
}

const MESSAGE = Buffer.from("message");
const OTHER = Buffer.from("of another node");
const RANGE: LogRange = { first: 1, last: 100 };

/** A log with a clock that moves while it sleeps. */
function logWith(answers: Answers) {
  const clock = { now: 0 };
  const calls = { publish: 0, get: 0, range: 0 };
  const next = <T>(kind: keyof typeof calls, all: readonly T[]): T => all[Math.min(calls[kind]++, all.length - 1)] as T;
  const transport: LogTransport = {
    async publish() {
      const answer = next("publish", answers.publish ?? []);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    get: async () => next("get", answers.get ?? [null]),
    range: async () => next("range", answers.range ?? [RANGE]),
    async *consume() {
      for (const sequence of answers.consume ?? []) yield { sequence, bytes: MESSAGE };
    },
  };
  const sleep = async (ms: number): Promise<void> => {
    clock.now += ms;
  };
  return { log: new FencedLog(transport, { elapsed: () => clock.now, sleep }), clock, calls };
}

/** Sequences that a node reads that has applied 100, until the reading ends. */
async function readOf(log: FencedLog): Promise<number[]> {
  const read: number[] = [];
  for await (const { sequence } of log.follow(100) as AsyncIterable<LogMessage>) read.push(sequence);
  return read;
}

test("a log that ends before what a node has is refused after five seconds, in which a server may still read it", async () => {
  const lost = logWith({ range: [{ first: 1, last: 99 }] });
  await assert.rejects(readOf(lost.log), {
    name: "LogGone",
    message:
      "the log ends at 99, and this node has applied 100: it lost its end; if it stays so, stop all nodes and " +
      "use prism cluster reseed on the one that has applied most",
  });
  assert.deepEqual([lost.clock.now, lost.calls.range], [5100, 52]);
  const late = logWith({ range: [{ first: 1, last: 99 }, { first: 1, last: 99 }, RANGE], consume: [101] });
  assert.deepEqual(await readOf(late.log), [101]);
  assert.equal(late.clock.now, 200);
});

test("what a consumer delivers from before the asked message is skipped", async () => {
  const { log, calls } = logWith({ consume: [98, 99, 100, 101, 102, 101, 103] });
  assert.deepEqual(await readOf(log), [101, 102, 103]);
  assert.equal(calls.range, 1);
});

test("after a message that a consumer leaves out the reading ends, and says if the log has it no longer", async () => {
  const there = logWith({ consume: [101, 103], get: [MESSAGE] });
  assert.deepEqual(await readOf(there.log), [101], "the caller follows again");
  const shortened = logWith({ consume: [103], range: [RANGE, { first: 103, last: 103 }] });
  await assert.rejects(readOf(shortened.log), {
    name: "LogBehind",
    message: "the log begins at 103, and this node needs 101",
  });
  const early = logWith({ range: [{ first: 102, last: 103 }] });
  await assert.rejects(readOf(early.log), {
    name: "LogBehind",
    message: "the log begins at 102, and this node needs 101",
  });
  const holed = logWith({ consume: [103] });
  await assert.rejects(readOf(holed.log), {
    name: "LogGone",
    message: /^the log lacks the message 101, and has later/,
  });
});

test("a message is sent until it is known to be in the log, and only one node's is after the last", async () => {
  const doubt = new Error("no answer");
  for (const [name, answers, expected, calls] of [
    ["no answers", { publish: [doubt, doubt, 100] }, 100, { publish: 3, get: 0 }],
    ["its answer was lost", { publish: [doubt, new WrongEnd()], get: [MESSAGE] }, 100, { publish: 2, get: 1 }],
    [
      "not stored yet",
      { publish: [doubt, new WrongEnd(), new WrongEnd()], get: [null, MESSAGE] },
      100,
      { publish: 3, get: 2 },
    ],
    [
      "another node",
      { publish: [new WrongEnd()], get: [OTHER] },
      "another node has written after 99",
      { publish: 1, get: 1 },
    ],
    ["another sequence", { publish: [101] }, "the log gave the sequence 101 after 99", { publish: 1, get: 0 }],
    [
      "nothing there",
      { publish: [new WrongEnd()] },
      "the log does not end at 99, and has nothing after it",
      { publish: 52, get: 52 },
    ],
  ] as const) {
    const { log, calls: made } = logWith(answers);
    const appended = log.append([MESSAGE], 99);
    if (typeof expected === "number") assert.equal(await appended, expected, name);
    else await assert.rejects(appended, { name: "Fenced", message: expected });
    assert.deepEqual({ publish: made.publish, get: made.get }, calls, name);
    if (typeof expected === "number") assert.equal(log.doubt, null, name);
  }
});
