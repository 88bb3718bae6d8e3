import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { keepsPromise } from "../helpers/promise.ts";
import type { Feed } from "./support/feeds.ts";
import { gapsOf, type LiveClient, numbersOf } from "./support/live-client.ts";
import { LiveServer, range, UNLIKE_PROTOCOLS } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";

/**
 * More than the kernel takes for a client that does not read, so that the server's own limits are
 * met. Little more: uWebSockets cuts an event stream by itself when its client takes nothing for
 * about 10 s, and a busy machine needs as long for 24 MiB.
 */
const TOTAL_BYTES = maxSendBufferBytes() + 1_500_000;
const PADDING_BYTES = 20_000;
/** A multiple of three, in which the slow client takes them. */
const EVENTS = Math.ceil(TOTAL_BYTES / PADDING_BYTES / 3) * 3;
const PER_REQUEST = EVENTS / 3;
const SMALL_PADDING_BYTES = 1000;
/** In messages that one broadcast does not send at once. */
const SMALL_PER_REQUEST = Math.ceil(TOTAL_BYTES / SMALL_PADDING_BYTES / 10);
const SMALL_EVENTS = SMALL_PER_REQUEST * 10;
/** As the contract has it: this long without drain. */
const STUCK_LIMIT_MS = 30_000;
/** To deflate what cannot be deflated takes most of the time, and changes nothing but that. */
const SETTINGS = { "auth.accessExpires": "24h", "realtime.compression": "false" };

for (const protocol of UNLIKE_PROTOCOLS) {
  describe(`${protocol.name}: slow readers`, () => {
    test("S3-05: a client that reads slowly receives everything in order, delays no other and is not closed", async (t) => {
      keepsPromise(t, "S3-05");
      const clock = new FakeClock();
      const server = await LiveServer.start(t, { clock, settings: SETTINGS });
      const slow = await server.connect(protocol);
      const other = await server.connect(protocol);
      slow.pause();
      await publishMuch(server.feedOf(protocol));
      await eventually("the other has everything", () => numbersOf(other).length === EVENTS);
      for (let had = 0; had < EVENTS; had = distinctNumbers(slow).length) {
        slow.resume();
        await eventually("some more", () => distinctNumbers(slow).length >= Math.min(had + EVENTS / 3, EVENTS));
        slow.pause();
        clock.advance(STUCK_LIMIT_MS - 1);
      }
      slow.resume();
      await server.feedOf(protocol).publish();
      await eventually("the last one", () => distinctNumbers(slow).length === EVENTS + 1);
      assert.deepEqual(distinctNumbers(slow), range(1, EVENTS + 1));
      assert.deepEqual(gapsOf(slow), []);
      assert.equal(await slowClosed(server), 0);
    });

    test("S3-05: a client that reads nothing for 30 s is closed as too slow, and resumes where it was", async (t) => {
      keepsPromise(t, "S3-05");
      const clock = new FakeClock();
      const server = await LiveServer.start(t, { clock, settings: SETTINGS });
      const slow = await server.connect(protocol);
      const other = await server.connect(protocol);
      slow.pause();
      await publishMuch(server.feedOf(protocol));
      clock.advance(STUCK_LIMIT_MS - 1);
      await eventually("the other has everything", () => numbersOf(other).length === EVENTS);
      assert.equal(await slowClosed(server), 0);
      clock.advance(STUCK_LIMIT_MS);
      await eventually("the slow one was ended", async () => (await slowClosed(server)) === 1);
      slow.resume();
      assert.equal(await slow.end, protocol.ends.tooSlow);

      const handled = distinctNumbers(slow).at(-1) ?? 0;
      assert.deepEqual(distinctNumbers(slow), range(1, handled));
      if (protocol.resumes === false) return;
      const again = await server.connect(protocol, { from: slow.items.length === 0 ? "earliest" : lastOffset(slow) });
      await eventually("the rest", () => numbersOf(again).length === EVENTS - handled);
      assert.deepEqual(numbersOf(again), range(handled + 1, EVENTS));
    });
  });
}

test("small events, of which the library sends many at a time: none is lost while a client is slow", async (t) => {
  const server = await LiveServer.start(t);
  const slow = await server.connect(nativeProtocol);
  slow.pause();
  for (let i = 0; i < 10; i++) await server.feed.publish(SMALL_PER_REQUEST, { paddingBytes: SMALL_PADDING_BYTES });
  slow.resume();
  const isDone = () => slow.items.length >= SMALL_EVENTS && distinctNumbers(slow).length === SMALL_EVENTS;
  await eventually("everything", isDone, 60_000);
  assert.deepEqual(distinctNumbers(slow), range(1, SMALL_EVENTS));
  assert.equal(await slowClosed(server), 0);
});

/** What Linux lets the send buffer of a TCP socket grow to; elsewhere its usual value. */
function maxSendBufferBytes(): number {
  try {
    const [, , max] = readFileSync("/proc/sys/net/ipv4/tcp_wmem", "utf8").trim().split(/\s+/).map(Number);
    return max ?? 4_194_304;
  } catch {
    return 4_194_304;
  }
}

async function publishMuch(feed: Feed): Promise<void> {
  for (let sent = 0; sent < EVENTS; sent += PER_REQUEST) {
    await feed.publish(PER_REQUEST, { paddingBytes: PADDING_BYTES });
  }
}

function distinctNumbers(client: LiveClient): number[] {
  return [...new Set(numbersOf(client))];
}

function lastOffset(client: LiveClient): number {
  const last = client.items.at(-1);
  return last?.kind === "entry" ? last.offset : 0;
}

/** The value of `prism_ws_slow_closed_total`. */
async function slowClosed(server: LiveServer): Promise<number> {
  const { text } = await server.prism.get("/metrics");
  return Number(/^prism_ws_slow_closed_total (\d+)$/m.exec(text)?.[1]);
}
