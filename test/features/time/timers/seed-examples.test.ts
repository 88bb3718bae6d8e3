import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";

/** The request bodies of the seed's README, unchanged. */
const EXAMPLES = {
  notify: `{
    "label": "welcome-notification",
    "delayMs": 5000,
    "action": {
      "type": "notify",
      "payload": { "userId": "user-id", "title": "Hello!", "body": "Timer fired." }
    }
  }`,
  event: `{
    "label": "bus-event",
    "delayMs": 2000,
    "action": { "type": "event", "event": "notify", "payload": { "userId": "1", "title": "Bus!", "body": "From timer." } }
  }`,
  message: `{
    "label": "channel-msg",
    "delayMs": 3000,
    "action": { "type": "message", "channel": "alerts", "payload": { "text": "Hello channel!" } }
  }`,
};

interface Made {
  readonly jobId: string;
  readonly runAt: string;
}

async function example(t: TestContext, body: string, delayMs: number) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const made = async (): Promise<string> => {
    const reply = await answered(201, prism.post<Made>("/time/trigger", body));
    assert.equal(Date.parse(reply.body.runAt), clock.now() + delayMs);
    return reply.body.jobId;
  };
  const pass = (ms: number): void => {
    clock.advance(ms);
    prism.parts.offers.runner.enqueued([]);
  };
  return { prism, made, pass };
}

const stateOf = (prism: TestPrism, jobId: string) =>
  scalarOf<string>(prism, "select state from jobs where id = ?", jobId);

test("S0-28 the seed's first example: after five seconds user-id has the notification, also in the history", async (t) => {
  keepsPromise(t, "S0-28");
  const { prism, made, pass } = await example(t, EXAMPLES.notify, 5000);
  const jobId = await made();
  pass(4999);
  assert.equal(stateOf(prism, jobId), "scheduled");
  pass(1);
  await eventually("it has fired", () => stateOf(prism, jobId) === "succeeded");
  const { body } = await prism.get<{ data: Record<string, unknown>[] }>("/notifications/user-id");
  const rows = body.data.map((each) => [each["title"], each["body"], each["kind"]]);
  assert.deepEqual(rows, [["Hello!", "Timer fired.", "timer"]]);
  assert.equal(scalarOf(prism, "select scheduledJobId from notifications"), jobId);
});

test("S0-29 the seed's second example: after two seconds the bus gets `notify`, and user 1 is notified", async (t) => {
  keepsPromise(t, "S0-29");
  const { prism, made, pass } = await example(t, EXAMPLES.event, 2000);
  const heard: unknown[] = [];
  prism.parts.base.bus.on("notify", (payload) => void heard.push(payload));
  const jobId = await made();
  pass(2000);
  await eventually("it has fired", () => stateOf(prism, jobId) === "succeeded");
  await eventually("the bus has heard", () => heard.length > 0);
  await prism.parts.base.bus.idle();
  assert.deepEqual(heard, [{ userId: "1", title: "Bus!", body: "From timer." }]);
  const { body } = await prism.get<{ data: { title: string; body: string }[] }>("/notifications/1");
  assert.deepEqual(rowsWith(body.data, "title", "body"), [["Bus!", "From timer."]]);
});

test("S0-30 S0-43 the seed's third example: after three seconds `msg:alerts` is on the bus, and followers of the channel have the message", async (t) => {
  keepsPromise(t, ["S0-30", "S0-43"]);
  const { prism, made, pass } = await example(t, EXAMPLES.message, 3000);
  const heard: unknown[] = [];
  prism.parts.base.bus.on("msg:alerts", (payload, { event }) => void heard.push([event, payload]));
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  await client.ask({ op: "subscribe", id: "1", stream: "channel:alerts" });
  const jobId = await made();
  pass(3000);
  const { stream, type, data, offset } = await client.expect({ op: "event" });
  assert.deepEqual([stream, type, data], ["channel:alerts", "message", { text: "Hello channel!" }]);
  await eventually("the bus has heard", () => heard.length > 0);
  assert.deepEqual(heard, [["msg:alerts", { text: "Hello channel!" }]]);
  assert.deepEqual(rowsOf(prism, "select state, result from jobs where id = ?", jobId), [
    { state: "succeeded", result: JSON.stringify({ offset }) },
  ]);
});

test("S0-07 timers are jobs of the queue `timers`: they are in the table before the answer and outlive the process", async (t) => {
  keepsPromise(t, "S0-07");
  const { prism, made, pass } = await example(t, EXAMPLES.message, 3000);
  const jobId = await made();
  await prism.restart();
  assert.deepEqual(rowsOf(prism, "select id, queue, kind, state, label from jobs"), [
    { id: jobId, queue: "timers", kind: "timer", state: "scheduled", label: "channel-msg" },
  ]);
  pass(3000);
  await eventually("it has fired", () => stateOf(prism, jobId) === "succeeded");
  assert.deepEqual(rowsOf(prism, "select stream, type, data from stream_log where stream <> 'system'"), [
    { stream: "channel:alerts", type: "message", data: '{"text":"Hello channel!"}' },
  ]);
});
