import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { adminOf, liveCount, RAW_PROTOCOLS, RAW_SETTINGS, type RawProtocol } from "./support/raw-protocols.ts";
import { closePayload, frame, OPCODE, type RawSocket } from "./support/raw-socket.ts";

const KIB = 1024;
/** As the contract has it. */
const MESSAGE_BURST = 100;

/** Frames that RFC 6455 forbids. `text` is a message that is fine by itself. */
const BROKEN: Readonly<Record<string, (text: string) => readonly Buffer[]>> = {
  "the first reserved bit, which compression would set": (text) => [frame(text, { reserved: 4 })],
  "the second reserved bit": (text) => [frame(text, { reserved: 2 })],
  "the third reserved bit": (text) => [frame(text, { reserved: 1 })],
  "an opcode of no kind": (text) => [frame(text, { opcode: 3 })],
  "a control opcode of no kind": () => [frame("", { opcode: 0xb })],
  "a ping in pieces": () => [frame("", { opcode: OPCODE.ping, isLast: false })],
  "a ping of 126 bytes": () => [frame("a".repeat(126), { opcode: OPCODE.ping })],
  "a close of 126 bytes": () => [frame(closePayload(1000, "a".repeat(124)), { opcode: OPCODE.close })],
  "a continuation of nothing": (text) => [frame(text, { opcode: OPCODE.continuation })],
  "a new message inside another": (text) => [frame(text, { isLast: false }), frame(text)],
  "a new message inside an empty beginning": (text) => [frame("", { isLast: false }), frame(text)],
  "a length beyond all": () => [frame("", { saidLength: 2 ** 40 })],
  "text that is no UTF-8": () => [frame(Buffer.from([0x22, 0xff, 0xfe, 0x22]))],
  "text in pieces that is no UTF-8": () => [
    frame(Buffer.from([0x22, 0xc3]), { isLast: false }),
    frame('"', { opcode: OPCODE.continuation }),
  ],
};

/** Close frames without a code or with an invalid one: the answer has no code. */
const CLOSES: Readonly<Record<string, Buffer>> = {
  "no code": Buffer.alloc(0),
  "half a code": Buffer.from([3]),
  "a code that is never sent": closePayload(1005),
  "another that is never sent": closePayload(1006),
  "a code below all": closePayload(999),
  "a code above all": closePayload(5000),
  "a reason that is no UTF-8": closePayload(1000, Buffer.from([0xff, 0xfe])),
};

/** What is no JSON object in a text message. */
const MALFORMED: readonly Buffer[] = [
  frame(""),
  frame("{"),
  frame("[]"),
  frame("null"),
  frame('"ping"'),
  frame("\u0000"),
  frame(`${'{"a":'.repeat(1000)}1${"}".repeat(1000)}`),
  frame('{"op":"ping","type":"ping"}', { opcode: OPCODE.binary }),
];

for (const protocol of RAW_PROTOCOLS) {
  describe(`${protocol.name}: frames`, () => {
    test("an invalid frame ends its connection, and no other", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      const other = await protocol.open(t, adminOf(prism));
      for (const [name, broken] of Object.entries(BROKEN)) {
        const socket = await protocol.open(t, adminOf(prism));
        socket.send(...broken(protocol.ping));
        assert.equal(await socket.closed(), 1006, name);
        assert.ok(!socket.texts.some((text) => text.includes(protocol.pong)), `${name}: nothing is answered`);
      }
      await stillServes(prism, protocol, other);
    });

    test("any close frame is answered, and later frames are ignored", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      for (const [name, payload] of Object.entries(CLOSES)) {
        const socket = await protocol.open(t, adminOf(prism));
        socket.send(frame(payload, { opcode: OPCODE.close }), frame(protocol.ping));
        assert.equal(await socket.closed(), 1005, name);
        await eventually("the end of the connection", () => socket.connection.isClosed);
        assert.ok(!socket.texts.some((text) => text.includes(protocol.pong)), name);
      }
      await eventually("all connections are closed", () => liveCount(prism) === 0);
    });

    test("an unmasked frame is never processed", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      const socket = await protocol.open(t, adminOf(prism));
      // The library takes the first bytes of the payload for the mask, so the text is noise and the
      // following bytes are misaligned.
      for (let i = 0; i < 3; i++) socket.send(frame(protocol.ping, { isMasked: false }));
      assert.equal(await socket.closed(), 1006);
      assert.ok(!socket.texts.some((text) => text.includes(protocol.pong)));
    });

    test("a message that is not a JSON object closes as malformed", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      for (const message of MALFORMED) {
        const socket = await protocol.open(t, adminOf(prism));
        socket.send(message);
        assert.equal(await socket.closed(), protocol.codes.malformed, message.toString("latin1").slice(0, 60));
      }
    });

    test("a message in fragments of a byte, with pings between them, is one message", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      const socket = await protocol.open(t, adminOf(prism));
      const last = protocol.ping.length - 1;
      const pieces = [...protocol.ping].map((byte, at) =>
        frame(byte, { opcode: at === 0 ? OPCODE.text : OPCODE.continuation, isLast: at === last }),
      );
      for (const [at, piece] of pieces.entries()) {
        await socket.connection.sendAlone(piece.subarray(0, 3));
        await socket.connection.sendAlone(piece.subarray(3));
        if (at < last) socket.send(frame(String(at), { opcode: OPCODE.ping }));
      }
      await socket.expectText(protocol.pong);
      const pongs = socket.frames.filter(({ opcode }) => opcode === OPCODE.pong).map(({ payload }) => Number(payload));
      assert.deepEqual(
        pongs,
        Array.from({ length: last }, (_, at) => at),
      );
    });

    test("endless fragments close the connection above the limit, by 1 byte or by many", async (t) => {
      const prism = await startPrism(t, { settings: RAW_SETTINGS });
      const other = await protocol.open(t, adminOf(prism));
      for (const bytes of [1, 16 * KIB]) {
        const socket = await protocol.open(t, adminOf(prism));
        socket.send(frame("{", { isLast: false }));
        const piece = frame(" ".repeat(bytes), { opcode: OPCODE.continuation, isLast: false });
        const some = Buffer.concat(Array.from({ length: Math.ceil((64 * KIB) / bytes) }, () => piece));
        for (let i = 0; i < 6 && socket.closeCode === null; i++) await socket.connection.sendAlone(some);
        assert.equal(await socket.closed(), 1006);
      }
      await stillServes(prism, protocol, other);
    });

    test("an unfinished frame and empty fragments do not count as activity", async (t) => {
      const clock = new FakeClock();
      const prism = await startPrism(t, { clock, settings: RAW_SETTINGS });
      const inHead = await protocol.open(t, adminOf(prism));
      const inPayload = await protocol.open(t, adminOf(prism));
      const ofNothing = await protocol.open(t, adminOf(prism));
      const drip = async () => {
        inPayload.send(Buffer.from(" "));
        ofNothing.send(frame("", { opcode: OPCODE.continuation, isLast: false }));
        await prism.get("/health/live");
      };
      inHead.send(frame(protocol.ping).subarray(0, 3));
      inPayload.send(frame("{", { saidLength: 60 * KIB }));
      ofNothing.send(frame("{", { isLast: false }));
      for (let seconds = 0; seconds < 59; seconds++) {
        clock.advance(1000);
        await drip();
      }
      assert.equal(liveCount(prism), 3);
      clock.advance(1000);
      for (const socket of [inHead, inPayload, ofNothing]) assert.equal(await socket.closed(), protocol.codes.silent);
      await eventually("all connections are closed", () => liveCount(prism) === 0);
    });

    for (const [name, opcode] of [
      ["pings", OPCODE.ping],
      ["unsolicited pongs", OPCODE.pong],
    ] as const) {
      test(`${name} count as messages`, async (t) => {
        const clock = new FakeClock();
        const prism = await startPrism(t, { clock, settings: RAW_SETTINGS });
        const other = await protocol.open(t, adminOf(prism));
        const socket = await protocol.open(t, adminOf(prism));
        const control = frame("", { opcode });
        socket.send(...Array.from({ length: MESSAGE_BURST - 10 }, () => control));
        socket.send(frame(protocol.ping));
        await socket.expectText(protocol.pong);
        socket.send(...Array.from({ length: 1000 }, () => control));
        assert.equal(await socket.closed(), protocol.codes.rate);
        await stillServes(prism, protocol, other);
      });
    }
  });
}

/** The socket still gets its answer, and the server counts no other connection. */
async function stillServes(prism: TestPrism, { ping, pong }: RawProtocol, socket: RawSocket): Promise<void> {
  await eventually("the others are gone", () => liveCount(prism) === 1);
  socket.send(frame(ping));
  await socket.expectText(pong);
}
