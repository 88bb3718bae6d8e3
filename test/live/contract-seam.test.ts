import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { gapsOf, type LiveClient, type LiveProtocol } from "./support/live-client.ts";
import { LiveServer, range, UNLIKE_PROTOCOLS } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";

const STORED = 400;
const CLIENTS = 8;
/** Without a limit a slow client's connection would be followed by thousands of entries. */
const WHILE_CONNECTING = 200;

for (const protocol of UNLIKE_PROTOCOLS.filter(({ resumes }) => resumes !== false)) seamTest(protocol, "thread");
seamTest(nativeProtocol, "main");

function seamTest(protocol: LiveProtocol, writer: "main" | "thread"): void {
  test(`${protocol.name}, writer ${writer}: clients that connect while entries are written miss none and receive all in order`, async (t) => {
    const server = await LiveServer.start(t, { settings: { "store.writer": writer } });
    const feed = server.feedOf(protocol);
    await feed.publish(STORED);
    let isIngesting = true;
    let limit = 0;
    const ingest = (async () => {
      for (let turn = 0; isIngesting; turn++)
        await (feed.lastSeq < limit ? feed.publish(1 + (turn % 7)) : new Promise((resolve) => setTimeout(resolve, 1)));
    })();

    const clients: { from: number; client: LiveClient }[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      const from = Math.floor((feed.lastSeq * i) / CLIENTS);
      limit = feed.lastSeq + WHILE_CONNECTING;
      clients.push({ from, client: await server.connect(protocol, { from }) });
    }
    isIngesting = false;
    await ingest;

    for (const { from, client } of clients) {
      // Entries are numbered as their offsets, because there is no other writer.
      const wanted = range(from + 1, feed.lastSeq);
      await eventually(`all behind ${from}`, () => offsetsWithoutRepetition(client).length >= wanted.length);
      assert.deepEqual(offsetsWithoutRepetition(client), wanted);
      assert.deepEqual(gapsOf(client), []);
    }
  });
}

/**
 * Offsets in the order in which they first came; a duplicate is an offset that was there before.
 */
function offsetsWithoutRepetition(client: LiveClient): number[] {
  return [...new Set(client.items.map((item) => (item.kind === "entry" ? item.offset : Number.NaN)))];
}
