import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { LETTERS, textsOf } from "../http/support/texts.ts";
import { LiveServer, PROJECT_PROTOCOLS } from "./support/live-server.ts";
import { RawStream } from "./support/raw-stream.ts";

test("a text of an event comes out of answers, event streams and sockets as it went in", async (t) => {
  const server = await LiveServer.start(t);
  const clients = await server.connectAll(PROJECT_PROTOCOLS.map((protocol) => [protocol]));
  const stream = await RawStream.open(t, server.target);
  const texts = LETTERS.flatMap((letter) => Object.values(textsOf(letter, 3000)));
  const lines = texts.map((text) => JSON.stringify({ type: "text", payload: { text } }));
  const headers = { "Content-Type": "application/x-ndjson" };
  await server.prism.post("/events", lines.join("\n"), { apiKey: server.apiKey, headers });
  const { body } = await server.prism.get<{ data: { payload: { text: string } }[] }>("/events?limit=100", {
    apiKey: server.apiKey,
  });
  assert.deepEqual(body.data.map(({ payload }) => payload.text).sort(), [...texts].sort());
  for (const [i, client] of clients.entries()) {
    const { name = "" } = PROJECT_PROTOCOLS[i] ?? {};
    await eventually(name, () => client.items.length === texts.length);
    const got = client.items.map((item) => (item.kind === "entry" ? item.event.payload["text"] : item.kind));
    assert.deepEqual(got, texts, name);
  }
  await eventually("the last one", () => stream.text.includes(`id: ${texts.length}\n`) && stream.text.endsWith("\n\n"));
  for (const text of texts) assert.ok(stream.text.includes(JSON.stringify(text)), text);
});
