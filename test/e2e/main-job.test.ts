import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import WebSocket from "ws";
import { eventually } from "../helpers/eventually.ts";
import { firing, GITHUB_RULES, type GithubEvent, githubEvents } from "./github-rules.ts";
import { PrismBinary } from "./prism-binary.ts";

interface Notification {
  readonly ruleId: string;
  readonly eventId: string;
  readonly offset: number;
}

test("the main job on real input: GitHub's webhooks in, seven rules, a live client, a kill in the middle, everything there once", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const ruleNames = await makeRules(prism);

  const seen: Notification[] = [];
  const socket = follow(prism, seen);
  t.after(() => socket.terminate());
  await eventually("the client is subscribed", () => socket.readyState === WebSocket.OPEN);

  const first = githubEvents(randomUUID);
  const reply = await prism.call<{ accepted: number; rejected: number }>(
    "POST",
    "/ingest",
    first.map((event) => JSON.stringify(event)).join("\n"),
    "application/x-ndjson",
  );
  assert.deepEqual([reply.status, reply.body.accepted, reply.body.rejected], [202, first.length, 0]);

  const expected = first.flatMap((event) => firing(event).map((rule) => ({ eventId: event.id, rule })));
  assert.ok(expected.length > 300, "the payloads make several hundred notifications");
  for (const { name } of GITHUB_RULES)
    assert.ok(
      expected.some(({ rule }) => rule === name),
      `${name} fires at least once`,
    );
  await eventually("the client has seen every notification", () => seen.length >= expected.length);
  assert.deepEqual(
    seen.map(({ eventId, ruleId }) => ({ eventId, rule: ruleNames.get(ruleId) })),
    expected,
  );

  const { sent, acknowledged } = await loadUntilKilled(prism);
  assert.ok(acknowledged.size > 0 && acknowledged.size < sent.length, "the kill came in the middle");

  await prism.start();
  const stored = await prism.all<{ id: string }>("/events", 1000);
  const storedIds = stored.map(({ id }) => id);
  assert.equal(new Set(storedIds).size, storedIds.length, "no event is stored twice");
  for (const id of [...first.map((event) => event.id), ...acknowledged]) {
    assert.ok(storedIds.includes(id), `the acknowledged event ${id} is there`);
  }
  const byId = new Map([...first, ...sent].map((event) => [event.id, event]));
  const due = stored.flatMap(({ id }) => firing(byId.get(id) as GithubEvent).map((rule) => `${id} ${rule}`));
  const notifications = await eventually("every due notification is there", async () => {
    const all = await prism.all<Notification>("/api/v1/notifications");
    return all.length >= due.length ? all : undefined;
  });
  assert.deepEqual(
    notifications.map(({ eventId, ruleId }) => `${eventId} ${ruleNames.get(ruleId)}`).sort(),
    due.sort(),
  );
});

async function makeRules(prism: PrismBinary): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const { name, condition, priority } of GITHUB_RULES) {
    const { status, body } = await prism.call<{ id: string }>("POST", "/api/v1/rules", {
      name,
      condition,
      priority,
      targetUsers: ["me"],
    });
    assert.equal(status, 201, JSON.stringify(body));
    names.set(body.id, name);
  }
  return names;
}

function follow(prism: PrismBinary, seen: Notification[]): WebSocket {
  const socket = new WebSocket(`${prism.url.replace("http", "ws")}/ws`, {
    headers: { Authorization: `Bearer ${prism.token}` },
  });
  socket.on("error", () => undefined);
  socket.on("message", (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { op: string; type?: string; data: Notification };
    if (message.op === "welcome") socket.send(JSON.stringify({ op: "subscribe", stream: "user:me", from: 0 }));
    if (message.op === "event" && message.type === "notification") seen.push(message.data);
  });
  return socket;
}

/**
 * Sends the payloads again under new ids, one by one and in small batches, and kills the process
 * while requests are under way.
 */
async function loadUntilKilled(prism: PrismBinary): Promise<{ sent: GithubEvent[]; acknowledged: Set<string> }> {
  const sent = githubEvents(randomUUID);
  const acknowledged = new Set<string>();
  const queue = [...sent];
  const send = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.splice(0, 1 + (queue.length % 3));
      try {
        const { status } = await prism.call("POST", "/events", batch.length === 1 ? batch[0] : batch);
        if (status !== 202) return;
        for (const { id } of batch) acknowledged.add(id);
        if (acknowledged.size > sent.length / 3) void prism.kill();
      } catch {
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  await prism.kill();
  return { sent, acknowledged };
}
