import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { gapsOf, type LiveClient } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS, range } from "./support/live-server.ts";

const STORED = 400;
const CLIENTS = 12;
const WRITERS = ["main", "thread"] as const;

for (const protocol of PROTOCOLS) {
  for (const writer of WRITERS) {
    describe(`${protocol.name}, writer ${writer}: the seam between replay and live`, () => {
      test("clients that come while events are ingested miss none and see none out of order", async (t) => {
        const server = await LiveServer.start(t, { settings: { "store.writer": writer } });
        await server.feedOf(protocol).publish(STORED);
        let isIngesting = true;
        const ingest = (async () => {
          for (let turn = 0; isIngesting; turn++) await server.feedOf(protocol).publish(1 + (turn % 7));
        })();

        const clients: { from: number; client: LiveClient }[] = [];
        for (let i = 0; i < CLIENTS; i++) {
          const from = Math.floor((server.feedOf(protocol).lastSeq * i) / CLIENTS);
          clients.push({ from, client: await server.connect(protocol, { from }) });
        }
        isIngesting = false;
        await ingest;

        for (const { from, client } of clients) {
          // Entries are numbered as their offsets: nobody else writes.
          const wanted = range(from + 1, server.feedOf(protocol).lastSeq);
          await eventually(`all behind ${from}`, () => client.items.length >= wanted.length);
          assert.deepEqual(offsetsWithoutRepetition(client), wanted);
          assert.deepEqual(gapsOf(client), []);
        }
      });
    });
  }
}

/** Offsets in the order in which they first came; a duplicate is an offset that was there before. */
function offsetsWithoutRepetition(client: LiveClient): number[] {
  return [...new Set(client.items.map((item) => (item.kind === "entry" ? item.offset : Number.NaN)))];
}
