import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { type RequestOptions, startPrism, type TestPrism } from "../helpers/prism.ts";

/*
 * Two requests that share a commit answer as they do in two commits, one after the other: what decides
 * them is read from tables, and the second reads what the first has written.
 */

/** What the requests of one pair meet: their own user, task, notification and so on. */
interface World {
  readonly token: string;
  readonly userId: string;
  readonly task: string;
  readonly notification: string;
  readonly topic: string;
  readonly gotify: string;
  readonly ping: string;
  readonly receiver: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

type Site = (prism: TestPrism, world: World) => Promise<Answer>;

const SITES: Readonly<Record<string, Site>> = {
  "task made": (prism, { token }) => prism.post("/api/v1/tasks", { title: "disk" }, { token }),
  "task changed": (prism, { token, task }) => prism.patch(`/api/v1/tasks/${task}`, { status: "DONE" }, { token }),
  "task deleted": (prism, { token, task }) => prism.delete(`/api/v1/tasks/${task}`, { token }),
  "message sent": (prism, { token, userId }) =>
    prism.post("/api/v1/messages", { recipientId: userId, content: "ready", delayMs: 60_000 }, { token }),
  "notification sent": (prism, { userId }) =>
    prism.post("/api/v1/notifications", { userId, title: "backup", message: "done", dedupeKey: userId }),
  "notification read": (prism, { token, notification }) =>
    prism.patch(`/api/v1/notifications/${notification}/read`, {}, { token }),
  "notification acknowledged": (prism, { token, notification }) =>
    prism.put(`/api/v1/notifications/${notification}/acknowledge`, { note: "on it" }, { token }),
  "notification removed": (prism, { token, notification }) =>
    prism.delete(`/api/v1/notifications/${notification}`, { token }),
  "ntfy publish": (prism, { topic }) => prism.post(`/ntfy/${topic}`, "42 GB"),
  "gotify message": (prism, { gotify }) =>
    prism.post("/gotify/message", { message: "done" }, { token: null, headers: { "X-Gotify-Key": gotify } }),
  "heartbeat ping": (prism, { ping }) => prism.post(ping, "", { token: null }),
  "receiver event": (prism, { receiver }) => prism.post(receiver, { title: "backup" }, { token: null }),
};

test("requests that share a commit answer as they do one after the other, pair by pair", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "main", "rateLimit.enabled": "false" } });
  const { database, committer, port } = prism.parts.base.store;
  let shared = 0;
  const ask = port.ask.bind(port);
  port.ask = (request) => {
    const last = request.op === "together" ? request.requests.at(-1) : request;
    if (last?.op === "endPart") shared++;
    return ask(request);
  };
  let waiting = 0;
  const acquire = committer.acquireTransaction.bind(committer);
  committer.acquireTransaction = (...args) => {
    waiting++;
    return acquire(...args);
  };
  for (const [firstName, first] of Object.entries(SITES))
    for (const [secondName, second] of Object.entries(SITES)) {
      const apart = await makeWorld(prism);
      const expected = [await first(prism, apart), await second(prism, apart)];

      const together = await makeWorld(prism);
      const gate = deferred<void>();
      const holder = database.write(() => gate.promise);
      await eventually("the writer is held", () => waiting > 0);
      waiting = 0;
      const one = first(prism, together);
      await eventually(`${firstName} waits`, () => waiting >= 1);
      const other = second(prism, together);
      await eventually(`${secondName} waits`, () => waiting >= 2);
      gate.resolve();
      await holder;
      const found = await Promise.all([one, other]);
      waiting = 0;
      assert.deepEqual(
        [plain(found), found.map(({ status }) => status)],
        [plain(expected), expected.map(({ status }) => status)],
        `${firstName}, ${secondName}`,
      );
    }
  const pairs = Object.keys(SITES).length ** 2;
  // Two that only read, because the first has removed the row, have nothing to commit.
  assert.ok(shared > pairs * 0.9, `${shared} of ${pairs} pairs shared a commit`);
});

let worlds = 0;

async function makeWorld(prism: TestPrism): Promise<World> {
  const name = `user${String(++worlds).padStart(4, "0")}`;
  const { id: userId, token } = await makeUser(prism, name, ["User"]);
  const { id: projectId } = await makeProject(prism, name);
  const made = async <T>(path: string, body: object, options?: RequestOptions): Promise<T> => {
    const reply = await prism.post<T>(path, body, options);
    assert.ok(reply.status < 300, reply.text);
    return reply.body;
  };
  const task = await made<{ id: string }>("/api/v1/tasks", { title: "old" }, { token });
  const notification = await made<{ id: string }>("/api/v1/notifications", { userId, title: "old", message: "old" });
  const gotify = await made<{ token: string }>("/gotify/application", { name }, { token });
  const heartbeat = { projectId, name, timeoutMs: 3_600_000, graceMs: 3_600_000 };
  const { pingUrl } = await made<{ pingUrl: string }>("/api/v1/heartbeats", heartbeat);
  const { url } = await made<{ url: string }>("/api/v1/receivers", { projectId, name, preset: "generic" });
  return {
    ...{ token, userId, topic: name, task: task.id, notification: notification.id, gotify: gotify.token },
    ...{ ping: new URL(pingUrl).pathname, receiver: new URL(url).pathname },
  };
}

/** Without ids, times, offsets and names, which differ between two worlds. */
function plain(answers: readonly Answer[]): string[] {
  const ids = new Map<string, string>();
  return answers.map(({ text }) =>
    text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
        if (!ids.has(id)) ids.set(id, `id ${ids.size + 1}`);
        return ids.get(id) as string;
      })
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "time")
      .replace(/user\d{4}/g, "user")
      .replace(/"(id|appid|time|expires|offset|seq)":("[^"]{12}"|\d+)/g, '"$1":0'),
  );
}
