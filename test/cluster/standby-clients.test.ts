import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { dial, openPort, openServer } from "./support/port.ts";

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

test("requests that a client sends at once reach the leader one at a time, in their order", async (t) => {
  let [active, most] = [0, 0];
  const leader = await openServer(t, async (_req, res) => {
    most = Math.max(most, ++active);
    await setTimeout(5);
    active--;
    res.end("ok");
  });
  const port = await openPort(t, { leader: leader.url });
  const paths = Array.from({ length: 30 }, (_, n) => `/${n}`);
  const client = await dial(t, port.port, paths.map(get).join(""));
  await eventually("all answers", () => client.text.split("HTTP/1.1 200").length === paths.length + 1);
  assert.deepEqual(
    leader.seen.map(({ line }) => line),
    paths.map((path) => `GET ${path}`),
  );
  assert.equal(most, 1);
});

test("a request whose answer comes before its body does not block those that follow", async (t) => {
  const leader = await openServer(t);
  leader.server.removeAllListeners("request").on("request", (_req, res) => void res.end("early"));
  const port = await openPort(t, { leader: leader.url });
  const body = "a".repeat(400_000);
  const head = `POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`;
  const client = await dial(t, port.port, head + body.slice(0, 100));
  await eventually("an answer", () => client.text.includes("early"));
  client.socket.write(body.slice(100) + get("/b"));
  await eventually("the next answer, or an end", () => client.isClosed || client.text.split("early").length === 3);
});

test("one connection holds one place among those that wait, and is closed with too many requests", async (t) => {
  const port = await openPort(t);
  const client = await dial(t, port.port, get("/a").repeat(50));
  await eventually("it waits", () => port.standby.waiting > 0);
  assert.equal(port.standby.waiting, 1);
  client.socket.write(get("/a").repeat(1000));
  await eventually("it is closed", () => client.isClosed);
  await eventually("its place is free", () => port.standby.waiting === 0);
});

test("a long answer to an upgrade that the leader refuses arrives whole", async (t) => {
  const length = 3_000_000;
  const leader = await openServer(t, (_req, res) => void res.end("x".repeat(length)));
  const port = await openPort(t, { leader: leader.url });
  const upgrade = get("/live").replace(
    "\r\n\r\n",
    "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n",
  );
  const client = await dial(t, port.port, upgrade);
  await eventually("it ends", () => client.isClosed);
  assert.ok(client.text.length > length, `${client.text.length} characters came`);
});
