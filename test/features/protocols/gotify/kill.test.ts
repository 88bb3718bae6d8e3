import assert from "node:assert/strict";
import test from "node:test";
import { PrismBinary } from "../../../e2e/prism-binary.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { lastingPort } from "../../../helpers/free-ports.ts";
import type { Application, GotifyClient, GotifyMessage, Paged } from "./support.ts";

const KILLS = 5;
const SENT_BEFORE = 20;

test("kill -9 loses no message that was acknowledged, and stores none twice", async (t) => {
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const port = await lastingPort();
  await prism.start(port);
  const { body: app } = await prism.call<Application>("POST", "/gotify/application", { name: "A" });
  const { body: client } = await prism.call<GotifyClient>("POST", "/gotify/client", { name: "C" });
  const acknowledged = new Map<string, number>();
  let count = 0;
  const send = async (): Promise<boolean> => {
    const message = `m${++count}`;
    const init = {
      method: "POST",
      body: JSON.stringify({ message }),
      headers: { "Content-Type": "application/json", "X-Gotify-Key": app.token },
    };
    try {
      const reply = await fetch(`http://127.0.0.1:${port}/gotify/message`, init);
      acknowledged.set(message, ((await reply.json()) as GotifyMessage).id);
      return true;
    } catch {
      return false;
    }
  };
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acknowledged.size;
    const senders = [1, 2, 3].map(async () => {
      while (await send());
    });
    await eventually("some are acknowledged", () => acknowledged.size >= before + SENT_BEFORE);
    await prism.kill();
    await Promise.all(senders);
    await prism.start(port);
  }
  const stored = new Map<string, number[]>();
  let since = 0;
  do {
    const headers = { "X-Gotify-Key": client.token };
    const page = await fetch(`http://127.0.0.1:${port}/gotify/message?limit=200&since=${since}`, { headers });
    const { paging, messages } = (await page.json()) as Paged;
    for (const { id, message } of messages) stored.set(message, [...(stored.get(message) ?? []), id]);
    since = paging.since;
  } while (since !== 0);
  for (const [message, id] of acknowledged) assert.deepEqual([message, stored.get(message)], [message, [id]]);
  assert.ok(acknowledged.size >= KILLS * SENT_BEFORE);
});
