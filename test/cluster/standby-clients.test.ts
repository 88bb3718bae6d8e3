import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
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

const fromClient = (path: string, client: string): string =>
  get(path).replace("\r\n\r\n", `\r\nX-Forwarded-For: 1.1.1.1, ${client}\r\n\r\n`);

test("one client behind a proxy leaves places for others among requests that wait; a stranger's header counts for nothing", async (t) => {
  for (const { trustedProxies, isHeld } of [
    { trustedProxies: ["127.0.0.1/32"], isHeld: true },
    { trustedProxies: [], isHeld: false },
  ]) {
    const port = await openPort(t, { trustedProxies, maxWaiting: 16 });
    const own = await Promise.all(Array.from({ length: 5 }, () => dial(t, port.port, fromClient("/a", "203.0.113.7"))));
    await eventually("its share is taken", () => own.filter(({ text }) => / 503 .*NO_LEADER/s.test(text)).length === 1);
    assert.equal(port.standby.waiting, 4);
    const other = await dial(t, port.port, fromClient("/b", "203.0.113.8"));
    if (isHeld) await eventually("another one waits", () => port.standby.waiting === 5);
    else await eventually("it is the same client", () => other.text.includes("NO_LEADER"));
    const { url } = await openServer(t);
    port.leads(url);
    await eventually(
      "those that waited are answered",
      () => own.filter(({ text }) => text.endsWith("ok")).length === 4,
    );
    assert.equal(port.standby.waiting, 0);
  }
});

test("one client behind a proxy leaves memory for the bodies of others", async (t) => {
  const copy = await openServer(t);
  const spool = { add: async () => undefined, waiting: 0 };
  const port = await openPort(t, { trustedProxies: ["127.0.0.1/32"], degraded: { url: copy.url, spool } });
  const part = "a".repeat(6_000_000);
  const head = (client: string, length: number) =>
    fromClient("/in/1", client).replace("GET", "POST").replace("\r\n\r\n", `\r\nContent-Length: ${length}\r\n\r\n`);
  const halves: Awaited<ReturnType<typeof dial>>[] = [];
  for (let n = 0; n < 4; n++) halves.push(await dial(t, port.port, head("203.0.113.7", part.length + 1) + part));
  await eventually("one is refused", () => halves.some(({ text }) => text.startsWith("HTTP/1.1 503 ")));
  assert.ok(halves.some(({ text }) => text === ""));
  const other = await dial(t, port.port, head("203.0.113.8", part.length) + part);
  await eventually("an answer", () => other.text.includes("\r\n\r\n"));
  assert.match(other.text, /prism-spooled: 1/i);
});

test("a request whose headers the leader would not take is answered at once, and others arrive", async (t) => {
  const prism = await startPrism(t);
  const port = await openPort(t, { leader: prism.url });
  const withHeaders = (count: number): string =>
    get("/health/live").replace(
      "\r\n\r\n",
      `\r\n${Array.from({ length: count }, (_, n) => `X-${n}: a\r\n`).join("")}\r\n`,
    );
  const small = await dial(t, port.port, withHeaders(94));
  await eventually("an answer", () => small.text.startsWith("HTTP/1.1 200 "));
  const large = await dial(t, port.port, withHeaders(95));
  await eventually("a refusal", () => large.isClosed);
  assert.match(large.text, /^HTTP\/1\.1 431 .*HEADERS_TOO_LARGE/s);
});

test("headers of requests that wait take little memory: many lines are refused, and a connection is closed", async (t) => {
  const port = await openPort(t);
  const withLines = (request: string, count: number): string =>
    request.replace("\r\n\r\n", `\r\n${"a:\r\n".repeat(count)}\r\n`);
  const joined = await dial(t, port.port, withLines(get("/a"), 3000));
  await eventually("a refusal", () => joined.isClosed);
  assert.match(joined.text, /^HTTP\/1\.1 431 .*HEADERS_TOO_LARGE/s);
  const upgrade = get("/live").replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const socket = await dial(t, port.port, withLines(upgrade, 3000));
  await eventually("a refusal", () => socket.isClosed);
  assert.match(socket.text, /^HTTP\/1\.1 431 /);
  const usual = await dial(t, port.port, withLines(get("/a"), 15).repeat(60));
  await eventually("it waits", () => port.standby.waiting === 1);
  const many = await dial(t, port.port, get("/a") + withLines(get("/a"), 3000));
  await eventually("it is closed", () => many.isClosed);
  assert.deepEqual([many.text, usual.isClosed, port.standby.waiting], ["", false, 1]);
});
