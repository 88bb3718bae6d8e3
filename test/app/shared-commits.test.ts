import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";

/*
 * Two requests that share a commit answer as they do in two commits, one after the other: what decides
 * them is read from tables, and the second reads what the first has written.
 */

interface People {
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
}

/** What the requests of one pair meet: a name and things of their own. */
interface World extends People {
  readonly name: string;
  /** What `needs` of the sites made, by its name. */
  readonly made: Readonly<Partial<Record<Need, string>>>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Site {
  readonly needs?: readonly Need[];
  /** It commits alone: it must be in order with those that share. */
  readonly isAlone?: true;
  run(prism: TestPrism, world: World): Promise<Answer>;
}

type Maker = (prism: TestPrism, world: World) => Promise<string>;

/** Each with the id, token or path that a site uses. */
const NEEDS = {
  task: (prism, { token }) => idOf(prism, "/api/v1/tasks", { title: "old" }, token),
  notification: (prism, { userId }) => idOf(prism, "/api/v1/notifications", { userId, title: "old", message: "old" }),
  message: (prism, { userId, token }) =>
    idOf(prism, "/api/v1/messages", { recipientId: userId, content: "old", delayMs: 60_000 }, token),
  bucket: (prism, { name }) => idOf(prism, BUCKETS, { name, currency: "EUR", currentBalance: "5", threshold: "3" }),
  gotify: (prism, { name, token }) => made(prism, "token", "/gotify/application", { name }, token),
  ping: (prism, { projectId, name }) =>
    made(prism, "pingUrl", "/api/v1/heartbeats", { projectId, name, timeoutMs: 3_600_000, graceMs: 3_600_000 }),
  rule: (prism, { projectId, name }) =>
    idOf(prism, "/api/v1/rules", { projectId, name, condition: "event.type == 'a'", targetRoles: ["User"] }),
  receiver: (prism, { projectId, name }) =>
    made(prism, "url", "/api/v1/receivers", { projectId, name, preset: "generic" }),
  alert: async (prism, { projectId, name }) => {
    const receiver = { projectId, name: `${name} alert`, preset: "generic" };
    const path = await made(prism, "url", "/api/v1/receivers", receiver);
    assert.equal((await prism.post(path, FIRING, { token: null })).status, 200);
    return path;
  },
} satisfies Record<string, Maker>;
type Need = keyof typeof NEEDS;

const BUCKETS = "/api/v1/transfer-buckets";
const TICK = { type: "message", channel: "ticks", payload: { tick: 1 } };
const FIRING = { title: "Disk almost full", level: "warning", key: "disk", status: "firing" };

function postAlert(status: "firing" | "resolved", level = "warning"): Site["run"] {
  return (prism, { made: { alert = "" } }) => prism.post(alert, { ...FIRING, status, level }, { token: null });
}

function changeRule(input: (world: World) => object): Site["run"] {
  return (prism, world) => prism.patch(`/api/v1/rules/${world.made.rule}`, input(world));
}

const SITES: Readonly<Record<string, Site>> = {
  "task made": { run: (prism, { token }) => prism.post("/api/v1/tasks", { title: "disk" }, { token }) },
  "task changed": {
    needs: ["task"],
    run: (prism, { token, made: { task } }) => prism.patch(`/api/v1/tasks/${task}`, { status: "DONE" }, { token }),
  },
  "task deleted": {
    needs: ["task"],
    run: (prism, { token, made: { task } }) => prism.delete(`/api/v1/tasks/${task}`, { token }),
  },
  "message sent": {
    run: (prism, { token, userId }) =>
      prism.post("/api/v1/messages", { recipientId: userId, content: "ready", delayMs: 60_000 }, { token }),
  },
  "notification sent": {
    run: (prism, { userId, name }) =>
      prism.post("/api/v1/notifications", { userId, title: "backup", message: "done", dedupeKey: name }),
  },
  "notification read": {
    needs: ["notification"],
    run: (prism, { token, made: { notification } }) =>
      prism.patch(`/api/v1/notifications/${notification}/read`, {}, { token }),
  },
  "notification acknowledged": {
    needs: ["notification"],
    run: (prism, { token, made: { notification } }) =>
      prism.put(`/api/v1/notifications/${notification}/acknowledge`, { note: "on it" }, { token }),
  },
  "notification removed": {
    needs: ["notification"],
    run: (prism, { token, made: { notification } }) => prism.delete(`/api/v1/notifications/${notification}`, { token }),
  },
  "ntfy publish": { run: (prism, { name }) => prism.post(`/ntfy/${name}`, "42 GB") },
  "gotify message": {
    needs: ["gotify"],
    run: (prism, { made: { gotify = "" } }) =>
      prism.post("/gotify/message", { message: "done" }, { token: null, headers: { "X-Gotify-Key": gotify } }),
  },
  "heartbeat made": {
    run: (prism, { projectId, name }) =>
      prism.post("/api/v1/heartbeats", {
        projectId,
        name,
        slug: `${name}-2`,
        timeoutMs: 3_600_000,
        graceMs: 3_600_000,
      }),
  },
  "heartbeat ping": {
    needs: ["ping"],
    run: (prism, { made: { ping = "" } }) => prism.post(ping, "", { token: null }),
  },
  "bucket made": {
    run: (prism, { name }) =>
      prism.post(BUCKETS, { name: `${name} 2`, currency: "EUR", currentBalance: "5", threshold: "3" }),
  },
  "bucket balance": {
    needs: ["bucket"],
    run: (prism, { made: { bucket } }) => prism.put(`${BUCKETS}/${bucket}/balance`, { delta: "2" }),
  },
  "bucket threshold": {
    needs: ["bucket"],
    run: (prism, { made: { bucket } }) => prism.put(`${BUCKETS}/${bucket}/threshold`, { threshold: "9" }),
  },
  "entry published": {
    run: (prism, { name }) =>
      prism.post("/api/v1/realtime/publish", { stream: `channel:${name}`, type: "tick", data: 1 }),
  },
  "timer made": {
    run: (prism, { name }) =>
      prism.post("/api/v1/time/trigger", { label: name, delayMs: 60_000, dedupeKey: name, action: TICK }),
  },
  "rule changed": {
    needs: ["rule"],
    run: changeRule(({ name }) => ({ name: `${name} 2`, condition: "event.type == 'b'" })),
  },
  "rule enabled": { needs: ["rule"], run: changeRule(() => ({ active: true, cooldownMs: 1000 })) },
  "rule of patterns": {
    needs: ["rule"],
    isAlone: true,
    run: changeRule(() => ({ condition: "matches(event.type, '^a+$')" })),
  },
  "receiver event": {
    needs: ["receiver"],
    run: (prism, { made: { receiver = "" } }) => prism.post(receiver, { title: "backup" }, { token: null }),
  },
  "receiver alert repeated": { needs: ["alert"], run: postAlert("firing") },
  "receiver alert changed": { needs: ["alert"], isAlone: true, run: postAlert("firing", "critical") },
  "receiver alert resolved": { needs: ["alert"], isAlone: true, run: postAlert("resolved") },
};

/** Files with sites that are not above: jobs, and what only the server itself writes. */
const OF_JOBS = [
  "src/features/alerts/book/repetitions.ts",
  "src/features/delivery/outcome.ts",
  "src/features/intake/forward/forwards.ts",
  "src/features/notifications/messages/deliver.ts",
  "src/features/time/timers/timer-firing.ts",
];
const OF_REQUESTS = [
  "src/features/access/managed.ts",
  "src/features/buckets/feature.ts",
  "src/features/protocols/gotify/messages.ts",
  "src/features/protocols/ntfy/publisher.ts",
  "src/features/events/streams/feature.ts",
  "src/features/heartbeats/heartbeats.ts",
  "src/features/heartbeats/manage.ts",
  "src/features/intake/receivers/accept.ts",
  "src/features/intake/receivers/ingest-routes.ts",
  "src/features/notifications/inbox-changes.ts",
  "src/features/notifications/messages/service.ts",
  "src/features/notifications/send.ts",
  "src/features/rules/service.ts",
  "src/features/time/tasks/feature.ts",
  "src/features/time/tasks/service.ts",
  "src/features/time/timers/feature.ts",
];
/** Requests whose effect commits alone: the last argument says so. */
const ALONE = /idempotency\s*\.run\((?:(?!idempotency).)*?, *\s*\{\},?\s*\)/gs;

test("every site that shares commits is known here", () => {
  const root = join(import.meta.dirname, "../..");
  const files = readdirSync(join(root, "src/features"), { recursive: true, encoding: "utf8" })
    .map((file) => `src/features/${file}`)
    .filter((file) => file.endsWith(".ts"))
    .filter((file) => {
      const text = readFileSync(join(root, file), "utf8").replace(ALONE, "");
      return /sharesCommit: true|writeSharedIfPossible|idempotency\s*\.run[(<]/.test(text);
    });
  assert.deepEqual(files.sort(), [...OF_JOBS, ...OF_REQUESTS].sort());
});

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
  for (const [firstName, first] of Object.entries(SITES)) {
    const people = await makePeople(prism);
    for (const [secondName, second] of Object.entries(SITES)) {
      const needs = new Set([...(first.needs ?? []), ...(second.needs ?? [])]);
      const apart = await makeWorld(prism, people, needs);
      const expected = [await first.run(prism, apart), await second.run(prism, apart)];

      assert.ok((expected[0]?.status ?? 0) < 300, `${firstName}: ${expected[0]?.text}`);

      const together = await makeWorld(prism, people, needs);
      const gate = deferred<void>();
      const holder = database.write(() => gate.promise);
      await eventually("the writer is held", () => waiting > 0);
      waiting = 0;
      const one = first.run(prism, together);
      await eventually(`${firstName} waits`, () => waiting >= 1);
      const other = second.run(prism, together);
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
  }
  const pairs = Object.values(SITES).filter(({ isAlone }) => !isAlone).length ** 2;
  // Two that only read, because the first has removed the row, have nothing to commit.
  // A group ends after 15 ms, on a busy machine more often before its second transaction.
  assert.ok(shared > pairs * 0.5, `${shared} of ${pairs} pairs shared a commit`);
});

let names = 0;
const newName = (): string => `user${String(++names).padStart(4, "0")}`;

async function makePeople(prism: TestPrism): Promise<People> {
  const name = newName();
  const { id: userId, token } = await makeUser(prism, name, ["User"]);
  const { id: projectId } = await makeProject(prism, name);
  return { token, userId, projectId };
}

async function makeWorld(prism: TestPrism, people: People, needs: ReadonlySet<Need>): Promise<World> {
  const world = { ...people, name: newName() };
  const values: Partial<Record<Need, string>> = {};
  for (const need of needs) values[need] = await NEEDS[need](prism, { ...world, made: {} });
  return { ...world, made: values };
}

function idOf(prism: TestPrism, path: string, body: object, token?: string): Promise<string> {
  return made(prism, "id", path, body, token);
}

/** @returns a member of the answer, of a URL the path */
async function made(prism: TestPrism, member: string, path: string, body: object, token?: string): Promise<string> {
  const reply = await prism.post<Record<string, string>>(path, body, token === undefined ? {} : { token });
  assert.ok(reply.status < 300, reply.text);
  const value = reply.body[member] ?? "";
  return value.startsWith("http") ? new URL(value).pathname : value;
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
      .replace(/[0-9a-f]{32}/g, "key")
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "time")
      .replace(/user\d{4}/g, "user")
      .replace(/"(id|appid|time|expires|offset|seq)":("[^"]{12}"|\d+)/g, '"$1":0'),
  );
}
