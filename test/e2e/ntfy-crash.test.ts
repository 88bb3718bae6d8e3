import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 5;
const PUBLISHERS = 8;

interface Message {
  readonly id: string;
  readonly message: string;
}

test(`killed ${KILLS} times while messages are published: each acknowledged one is there, once, and since=<id> continues`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const answered = new Map<string, string>();
  let lastSeen: string | null = null;
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    const before = answered.size;
    const publishing = Array.from({ length: PUBLISHERS }, (_, i) => publishAll(prism, `${kill}-${i}`, answered));
    const least = before + random.integer(20, 120);
    await eventually("some messages are answered", () => answered.size > least);
    const latest = await poll(prism, "since=latest");
    assert.equal(latest.length, 1);
    lastSeen = latest[0]?.id ?? null;
    await prism.kill();
    await Promise.all(publishing);
  }
  await prism.start();
  const stored = await poll(prism, "since=all");
  const ids = stored.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, "none twice");
  const texts = new Map(stored.map(({ id, message }) => [id, message]));
  for (const [id, text] of answered) assert.equal(texts.get(id), text, id);
  const events = await eventIds(prism);
  assert.deepEqual(events.sort(), [...ids].sort(), "one event for each");
  const rest = await poll(prism, `since=${lastSeen}`);
  assert.deepEqual(
    rest.map(({ id }) => id),
    ids.slice(ids.indexOf(lastSeen ?? "") + 1),
  );
  t.diagnostic(`${answered.size} acknowledged, ${stored.length} stored`);
});

/** Publishes one after the other until the server is gone. */
async function publishAll(prism: PrismBinary, name: string, answered: Map<string, string>): Promise<void> {
  const { url, token } = prism;
  for (let i = 0; ; i++) {
    const text = `${name}-${i}`;
    try {
      const reply = await fetch(`${url}/ntfy/crash`, {
        method: "POST",
        body: text,
        headers: { Authorization: `Bearer ${token}` },
      });
      if (reply.status === 200) answered.set(((await reply.json()) as Message).id, text);
    } catch {
      return;
    }
  }
}

async function poll(prism: PrismBinary, query: string): Promise<Message[]> {
  const { url, token } = prism;
  const reply = await fetch(`${url}/ntfy/crash/json?poll=1&${query}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  // On a busy machine the publishers may have used up the work of this second.
  if (reply.status === 429) {
    await reply.arrayBuffer();
    await setTimeout(100);
    return poll(prism, query);
  }
  assert.equal(reply.status, 200);
  const lines = (await reply.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Message);
}

async function eventIds({ url, token }: PrismBinary): Promise<string[]> {
  const reply = await fetch(`${url}/api/v1/events/export?type=ntfy.message`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  assert.equal(reply.status, 200);
  const lines = (await reply.text()).split("\n").filter((line) => line.includes('"ntfy.message"'));
  return lines.map((line) => (JSON.parse(line) as { payload: { id: string } }).payload.id);
}
