import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { errorCodeOf, exchangeRaw, type RawReply, requestText } from "../http/support/raw-connection.ts";
import { adminOf, liveCount, RAW_PROTOCOLS, RAW_SETTINGS } from "./support/raw-protocols.ts";
import { frame, HANDSHAKE, OPCODE, RawSocket } from "./support/raw-socket.ts";

const MAX_PENDING = 20;
const SETTINGS = { ...RAW_SETTINGS, "realtime.maxPendingPerIp": String(MAX_PENDING) };
const LIMIT_MS = 10_000;
const MAX_BYTES = 4096;

/**
 * The answer of each protocol to an unauthenticated client, and a message of that client with this
 * many bytes.
 */
const PENDING = [
  {
    transport: "pusher",
    // A sign-in carries data of its user.
    maxBytes: 16_384,
    tooBig: 4300,
    answer: "pusher:pong",
    message: (bytes: number) => padded('{"event":"pusher:ping","data":"', '"}', bytes),
  },
  {
    transport: "socketio",
    maxBytes: MAX_BYTES,
    tooBig: 1009,
    answer: "UNAUTHENTICATED",
    message: (bytes: number) => padded('40{"a":"', '"}', bytes),
  },
] as const;

function padded(begin: string, end: string, bytes: number): string {
  return begin + "a".repeat(bytes - begin.length - end.length) + end;
}

for (const { transport, maxBytes, tooBig, answer, message } of PENDING) {
  const protocol = RAW_PROTOCOLS.find((one) => one.transport === transport) ?? assert.fail();
  const open = (t: TestContext, prism: TestPrism) => RawSocket.open(t, prism.app.port, protocol.path);

  describe(`${protocol.name}: before the client has authenticated`, () => {
    test("20 of an address may be so, however many ask at once; others are not kept out by them", async (t) => {
      const prism = await startPrism(t, { clock: new FakeClock(), settings: SETTINGS });
      const storm = await Promise.allSettled(Array.from({ length: 60 }, () => open(t, prism)));
      const pending = storm.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      assert.equal(pending.length, MAX_PENDING);
      const refusal = await ask(t, prism, protocol.path);
      assert.deepEqual([refusal.status, errorCodeOf(refusal)], [429, "RATE_LIMITED"]);
      assert.match(refusal.headers.get("retry-after") ?? "", /^\d+$/);
      const [native = assert.fail()] = RAW_PROTOCOLS;
      await native.open(t, adminOf(prism));
      assert.equal(liveCount(prism), MAX_PENDING + 1);

      for (const socket of pending.slice(0, 10)) socket.connection.reset();
      await eventually("half of them are gone", () => liveCount(prism) === 11);
      // Connections that authenticate make room for others.
      for (let i = 0; i < 30; i++) await protocol.open(t, adminOf(prism));
      await Promise.all(Array.from({ length: 10 }, () => open(t, prism)));
      assert.equal((await ask(t, prism, protocol.path)).status, 429);
    });

    test("after 10 s a Pusher connection stays and no longer counts as pending; a Socket.IO one ends", async (t) => {
      const clock = new FakeClock();
      const prism = await startPrism(t, { clock, settings: { ...SETTINGS, "realtime.maxPendingPerIp": "2" } });
      const known = await protocol.open(t, adminOf(prism));
      const silent = await open(t, prism);
      const pinging = await open(t, prism);
      for (let seconds = 1; seconds < LIMIT_MS / 1000; seconds++) {
        clock.advance(1000);
        pinging.send(frame("", { opcode: OPCODE.ping }));
        await eventually("the pong", () => pongs(pinging) === seconds);
      }
      assert.equal(liveCount(prism), 3);
      assert.equal((await ask(t, prism, protocol.path)).status, 429);
      clock.advance(1000);
      if (transport === "socketio") {
        for (const socket of [silent, pinging]) assert.equal(await socket.closed(), 4401);
        await eventually("one is left", () => liveCount(prism) === 1);
      } else {
        await eventually("another one is let in", () => open(t, prism).catch(() => undefined));
        assert.equal(liveCount(prism), 4);
        silent.send(frame(protocol.ping));
        await silent.expectText(protocol.pong);
      }
      known.send(frame(protocol.ping));
      await known.expectText(protocol.pong);
    });

    test(`it may say ${maxBytes} bytes at a time`, async (t) => {
      const prism = await startPrism(t, { settings: SETTINGS });
      const allowed = await open(t, prism);
      await eventually("the server's first word", () => allowed.texts.length > 0);
      allowed.send(frame(message(maxBytes)));
      await allowed.expectText(answer);
      const socket = await open(t, prism);
      await eventually("the server's first word", () => socket.texts.length > 0);
      socket.send(frame(message(maxBytes + 1)));
      assert.equal(await socket.closed(), tooBig);
    });
  });
}

/** An upgrade request, and its answer. */
async function ask(t: TestContext, prism: TestPrism, path: string): Promise<RawReply> {
  const reply = await exchangeRaw(t, prism.app.port, requestText("GET", path, HANDSHAKE));
  reply.connection.destroy();
  return reply;
}

function pongs(socket: RawSocket): number {
  return socket.frames.filter(({ opcode }) => opcode === OPCODE.pong).length;
}

describe("Socket.IO over polling: before the client has authenticated", () => {
  const PATH = "/socket.io/?EIO=4&transport=polling";

  test("20 of an address may be so, and their places are free again after 10 s, polls or none", async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock, settings: SETTINGS });
    const begin = () => prism.get(PATH, { token: null });
    const replies = await Promise.all(Array.from({ length: 60 }, begin));
    assert.equal(replies.filter(({ status }) => status === 200).length, MAX_PENDING);
    const refused = replies.filter(({ status }) => status === 429);
    assert.equal(refused.length, 60 - MAX_PENDING);
    for (const { headers } of refused) assert.match(headers.get("retry-after") ?? "", /^\d+$/);
    assert.equal(liveCount(prism), MAX_PENDING);

    const sid = /"sid":"([^"]+)"/.exec(replies.find(({ status }) => status === 200)?.text ?? "")?.[1];
    const poll = prism.get(`${PATH}&sid=${sid}`, { token: null });
    clock.advance(LIMIT_MS);
    await eventually("all connections are closed", () => liveCount(prism) === 0);
    await poll;
    assert.equal((await begin()).status, 200);
  });

  test("it may post 4 KiB at a time, and nothing to a session that there is not", async (t) => {
    const prism = await startPrism(t, { settings: SETTINGS });
    const begin = async () => {
      const { text } = await prism.get(PATH, { token: null });
      return `${PATH}&sid=${/"sid":"([^"]+)"/.exec(text)?.[1]}`;
    };
    const headers = { "Content-Type": "text/plain" };
    const post = async (path: string, bytes: number) =>
      (await prism.post(path, padded('40{"a":"', '"}', bytes), { token: null, headers })).status;
    assert.equal(await post(await begin(), MAX_BYTES), 200);
    const path = await begin();
    assert.equal(await post(path, MAX_BYTES + 1), 413);
    assert.equal(await post(path, 100), 400);
    assert.equal(await post(`${PATH}&sid=none`, 100), 400);
  });
});
