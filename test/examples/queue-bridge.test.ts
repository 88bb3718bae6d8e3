// needs: nats-server
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startNats } from "../cluster/support/nats.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { rowsOf } from "../helpers/tables.ts";

/** Messages of 200 kB: 12 MB, where a request may have 8 MiB. */
const LARGE = 60;
const BRIDGE = join(import.meta.dirname, "../../examples/queue-bridge/nats.mjs");

function startBridge(t: TestContext, env: Readonly<Record<string, string>>): ChildProcess & { said: string } {
  const child = Object.assign(spawn(process.execPath, [BRIDGE], { env: { ...process.env, ...env } }), { said: "" });
  child.stderr.on("data", (chunk: Buffer) => {
    child.said += chunk.toString();
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

test("a bridge of JetStream stores each message once, through kills and while Prism is away", async (t) => {
  const [server] = await startNats(t);
  const connection = await connect({ servers: server?.address ?? "" });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "EVENTS", subjects: ["events.>"] });
  const stream = jetstream(connection);
  const send = async (from: number, to: number) => {
    for (let n = from; n < to; n++) await stream.publish("events.shop.order", JSON.stringify({ n }));
  };

  const prism = await startPrism(t, { settings: { port: String(await lastingPort()) } });
  const { apiKey } = await makeProject(prism);
  const env = {
    NATS_URL: `nats://${server?.address}`,
    STREAM: "EVENTS",
    PRISM_URL: prism.url,
    PRISM_API_KEY: apiKey,
    ACK_SECONDS: "2",
  };
  const stored = () =>
    rowsOf<{ type: string; payload: string }>(prism, "select type, payload from events where source like 'events.%'");
  const untilStored = (count: number) =>
    eventually(`${count} events`, async () => (await stored()).length >= count, 60_000);

  await send(0, 700);
  // More together than a request may have, and each of them small enough.
  for (let n = 0; n < LARGE; n++) await stream.publish("events.wide", JSON.stringify({ n, text: "x".repeat(200_000) }));
  await stream.publish("events.note", "a text");
  await stream.publish("events.own", JSON.stringify({ type: "own.type", level: "error", payload: { n: -1 } }));
  await stream.publish("events.large", JSON.stringify({ text: "x".repeat(300_000) }));
  const first = startBridge(t, env);
  // It is killed while it works, and what it had not acknowledged comes again.
  await untilStored(1);
  first.kill("SIGKILL");
  await once(first, "exit");
  await send(700, 1000);
  const second = startBridge(t, env);
  await untilStored(1002 + LARGE);

  await prism.restart(() => send(1000, 1200));
  await untilStored(1202 + LARGE);
  const ended = once(second, "exit");
  second.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null], second.said);

  const rows = await stored();
  const numbers = rows
    .filter(({ type }) => type === "order")
    .map(({ payload }) => (JSON.parse(payload) as { n: number }).n);
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    Array.from({ length: 1200 }, (_, n) => n),
  );
  assert.deepEqual(
    rows
      .filter(({ type }) => type !== "order" && type !== "wide")
      .map(({ type, payload }) => [type, JSON.parse(payload)]),
    [
      ["note", { message: "a text" }],
      ["own.type", { n: -1 }],
    ],
  );
  assert.equal(rows.filter(({ type }) => type === "wide").length, LARGE);
  assert.match(first.said + second.said, /\(events\.large\) is left out: /);
  const { num_pending, num_ack_pending } = await manager.consumers.info("EVENTS", "prism");
  assert.deepEqual([num_pending, num_ack_pending], [0, 0]);
});
