import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { uuidv7 } from "../../src/core/ids.ts";
import type { QueueName } from "../../src/core/limits/queues.ts";
import type { AlertRow } from "../../src/features/alerts/index.ts";
import { ScheduleTable } from "../../src/features/time/schedules/schedule.ts";
import { Task } from "../../src/features/time/tasks/schema.ts";
import type { StreamEntry, StreamRef } from "../../src/live/stream.ts";
import type { JobRow } from "../../src/store/commit/write-set.ts";
import { addEffect, type Trx } from "../../src/store/database.ts";
import type { Effect } from "../../src/store/effect.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { rowsOf, scalarOf } from "../helpers/tables.ts";
import { commit, roleId, session } from "./support/effects.ts";

interface Case {
  readonly name: string;
  /** @returns what is seen of the memory, and how rows and effect change it. */
  set(
    t: TestContext,
    prism: TestPrism,
  ): Promise<{ readonly see: () => unknown; readonly effect: Effect; readonly write: (trx: Trx) => Promise<unknown> }>;
  readonly before: unknown;
  readonly after: unknown;
}

const statusOf = async (prism: TestPrism, path: string, token: string): Promise<number> =>
  (await prism.get(path, { token })).status;

const waitingJob = (): JobRow => ({
  id: uuidv7(),
  queue: "retention",
  kind: "test",
  payload: "null",
  state: "scheduled",
  priority: 0,
  runAt: Date.now() + 3_600_000,
  maxAttempts: 1,
  dedupeKey: null,
  label: null,
  module: null,
  createdBy: null,
  scheduleId: null,
  correlationId: null,
  createdAt: Date.now(),
});

const alertRow = (projectId: string): AlertRow => ({
  id: uuidv7(),
  projectId,
  key: "api:A",
  fingerprint: "dd7bcf429c8ee5e6",
  labels: '{"alertname":"cs"}',
  annotations: "{}",
  generatorUrl: null,
  severity: null,
  source: "api",
  sourceId: null,
  sender: null,
  state: "firing",
  startsAt: 0,
  firesAt: null,
  endsAt: null,
  isTimeoutEnd: 0,
  timedOut: 0,
  lastAt: 0,
  count: 1,
  resolvedAt: null,
});

const CASES: readonly Case[] = [
  {
    name: "alerts-changed",
    async set(_t, prism) {
      const { alerts } = prism.parts.offers;
      const row = alertRow(prism.parts.offers.defaultProjectId);
      return {
        see: () => [alerts.find(row.id)?.state ?? null, alerts.counts().firing],
        effect: { type: "alerts-changed", alerts: [row] },
        write: (trx) => trx.insertInto("alerts").values(row).execute(),
      };
    },
    before: [null, 0],
    after: ["firing", 1],
  },
  {
    name: "rights-changed of a user",
    async set(_t, prism) {
      const ann = await makeUser(prism, "ann");
      const grant = { userId: ann.id, roleId: roleId(prism, "Admin"), createdAt: 0 };
      return {
        see: () => statusOf(prism, "/api/v1/users", ann.token),
        effect: { type: "rights-changed", of: "user", userId: ann.id },
        write: (trx) => trx.insertInto("user_roles").values(grant).execute(),
      };
    },
    before: 403,
    after: 200,
  },
  {
    name: "rights-changed of a session",
    async set(_t, prism) {
      const ann = await makeUser(prism, "ann");
      const { id, token } = await session(prism, ann.id);
      return {
        see: () => statusOf(prism, "/api/v1/users/me", token),
        effect: { type: "rights-changed", of: "session", sessionId: id, userId: ann.id },
        write: (trx) => trx.updateTable("sessions").set({ revokedAt: 1 }).where("id", "=", id).execute(),
      };
    },
    before: 200,
    after: 401,
  },
  {
    name: "rights-changed of a token",
    async set(_t, prism) {
      const { body } = await prism.post<{ id: string; token: string }>("/api/v1/users/me/tokens", {
        name: "CI",
        scopes: ["account:own"],
      });
      const userId = scalarOf<string>(prism, "select userId from service_tokens") ?? "";
      return {
        see: () => statusOf(prism, "/api/v1/users/me", body.token),
        effect: { type: "rights-changed", of: "token", tokenId: body.id, userId },
        write: (trx) => trx.updateTable("service_tokens").set({ revokedAt: 1 }).where("id", "=", body.id).execute(),
      };
    },
    before: 200,
    after: 401,
  },
  {
    name: "rights-changed of a key",
    async set(_t, prism) {
      const { apiKey } = await makeProject(prism);
      const id = scalarOf<string>(prism, "select id from api_keys") ?? "";
      return {
        see: async () => (await prism.post("/events", { type: "x" }, { apiKey })).status,
        effect: { type: "rights-changed", of: "key", keyId: id },
        write: (trx) => trx.updateTable("api_keys").set({ revokedAt: 1 }).where("id", "=", id).execute(),
      };
    },
    before: 202,
    after: 401,
  },
  {
    name: "rights-changed of a role",
    async set(_t, prism) {
      const ann = await makeUser(prism, "ann", ["User"]);
      const id = roleId(prism, "User");
      return {
        see: () => statusOf(prism, "/api/v1/users", ann.token),
        effect: { type: "rights-changed", of: "role", roleId: id },
        write: (trx) => trx.updateTable("roles").set({ permissions: '["users:read"]' }).where("id", "=", id).execute(),
      };
    },
    before: 403,
    after: 200,
  },
  {
    name: "rights-changed of a project",
    async set(_t, prism) {
      const { id, apiKey } = await makeProject(prism, "shop");
      return {
        see: async () => [
          (await prism.get("/api/v1/projects/shop")).status,
          (await prism.post("/events", { type: "x" }, { apiKey })).status,
        ],
        effect: { type: "rights-changed", of: "project", projectId: id },
        write: (trx) => trx.updateTable("projects").set({ deletedAt: 1 }).where("id", "=", id).execute(),
      };
    },
    before: [200, 202],
    after: [404, 401],
  },
  {
    name: "answers-changed of a profile",
    async set(_t, prism) {
      const ann = await makeUser(prism, "ann");
      return {
        see: async () => (await prism.get("/api/v1/users/me", { token: ann.token })).body["name"],
        effect: { type: "answers-changed", of: "profile", userId: ann.id },
        write: (trx) => trx.updateTable("users").set({ name: "Anna" }).where("id", "=", ann.id).execute(),
      };
    },
    before: "ann",
    after: "Anna",
  },
  {
    name: "answers-changed of tasks",
    async set(_t, prism) {
      const { id: userId, token } = await makeUser(prism, "ann", ["User"]);
      const task = Task.newRow({ title: "x" }, { id: uuidv7(), userId, createdAt: 1, updatedAt: 1 });
      return {
        see: async () => (await prism.get<{ data: unknown[] }>("/api/v1/tasks", { token })).body.data.length,
        effect: { type: "answers-changed", of: "tasks", userId },
        write: (trx) => trx.insertInto("tasks").values(task).execute(),
      };
    },
    before: 0,
    after: 1,
  },
  {
    name: "rules-changed",
    async set(_t, prism) {
      const rule = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };
      const { id } = (await prism.post<{ id: string }>("/api/v1/rules", rule)).body;
      const change = { condition: "event.type ==", version: 2 };
      return {
        see: () => {
          const { rules } = prism.parts.offers;
          return [rules.size, rules.brokenOf(id)?.code];
        },
        effect: { type: "rules-changed", ruleIds: [id] },
        write: (trx) => trx.updateTable("rules").set(change).where("id", "=", id).execute(),
      };
    },
    before: [1, undefined],
    after: [0, "INVALID_CONDITION"],
  },
  {
    name: "jobs-added",
    async set(_t, prism) {
      const job = waitingJob();
      return {
        see: () => prism.parts.offers.runner.waitingIn("retention"),
        effect: { type: "jobs-added", jobs: [{ queue: job.queue, state: job.state, runAt: job.runAt }] },
        write: (trx) => trx.insertInto("jobs").values(job).execute(),
      };
    },
    before: 0,
    after: 1,
  },
  {
    name: "jobs-removed",
    async set(_t, prism) {
      const job = waitingJob();
      await commit(prism, { type: "jobs-added", jobs: [job] }, (trx) => trx.insertInto("jobs").values(job).execute());
      return {
        see: () => prism.parts.offers.runner.waitingIn("retention"),
        effect: { type: "jobs-removed", queue: job.queue, count: 1 },
        write: (trx) => trx.deleteFrom("jobs").where("id", "=", job.id).execute(),
      };
    },
    before: 1,
    after: 0,
  },
  {
    name: "queue-changed",
    async set(_t, prism) {
      const queue: QueueName = "timers";
      return {
        see: () => prism.parts.offers.runner.isPaused(queue),
        effect: { type: "queue-changed", queue, isPaused: true },
        write: (trx) =>
          trx
            .insertInto("settings")
            .values({ key: `queue.paused:${queue}`, value: 1, updatedAt: 0 })
            .execute(),
      };
    },
    before: false,
    after: true,
  },
];

for (const { name, set, before, after } of CASES)
  test(`after ${name} the memory is what a start would make of the tables`, async (t) => {
    const prism = await startPrism(t);
    const { see, effect, write } = await set(t, prism);
    assert.deepEqual(await see(), before);
    await commit(prism, effect, write);
    assert.deepEqual(await see(), after, "by the effect alone");
    await prism.restart();
    await eventually("the same from the tables", async () => {
      assert.deepEqual(await see(), after);
      return true;
    });
  });

/** Collects entries that followers of a stream get from now on. */
function heard(prism: TestPrism, stream: StreamRef): StreamEntry[] {
  const entries: StreamEntry[] = [];
  prism.parts.core.hub.listen(stream, { live: (entry) => void entries.push(entry) });
  return entries;
}

test("an entry reaches followers as the history has it, also one of which the log keeps less", async (t) => {
  const prism = await startPrism(t);
  const { database } = prism.parts.base;
  const { hub } = prism.parts.core;
  const stream = { kind: "channel", projectId: null, name: "news" } as const;
  const entries = heard(prism, stream);
  const row = { stream: "channel:news", data: '{"n":1}', correlationId: "c" };
  const offsets = await database.write(async (trx) => {
    const made = [database.nextOffset(trx), database.nextOffset(trx)] as const;
    for (const [i, seq] of made.entries()) {
      await trx
        .insertInto("stream_log")
        .values({ ...row, seq, type: "note", createdAt: 5 })
        .execute();
      const { stream, correlationId } = row;
      const data = i === 0 ? row.data : null;
      addEffect(trx, { type: "entry", stream, offset: seq, entryType: "note", data, at: 5, correlationId });
    }
    return made;
  });
  assert.equal(entries.length, 2);
  assert.deepEqual(entries, hub.history.read(stream, offsets[0] - 1, offsets[1]).entries);
  assert.equal(hub.head(stream), offsets[1]);
});

test("a notification reaches its recipient's stream as the history has it", async (t) => {
  const prism = await startPrism(t);
  const { id: userId } = await makeUser(prism, "ann");
  const { database } = prism.parts.base;
  const { hub } = prism.parts.core;
  const stream = { kind: "user", userId } as const;
  const entries = heard(prism, stream);
  const content = { kind: "direct", title: "t", message: "m", sound: null, action: null, data: null } as const;
  const origin = { ruleId: null, eventId: null, projectId: null, dedupeKey: null, correlationId: "c" };
  const notification = { ...content, ...origin, id: uuidv7(), priority: 5, createdAt: 5, channels: null };
  const seq = await database.write(async (trx) => {
    const recipient = { notificationId: notification.id, userId, seq: database.nextOffset(trx) };
    await trx.insertInto("notifications").values(notification).execute();
    await trx.insertInto("notification_recipients").values(recipient).execute();
    addEffect(trx, { type: "notified", notified: [{ notification, recipient }] });
    return recipient.seq;
  });
  const stored = hub.history.read(stream, seq - 1, seq).entries.map(({ isDelivered: _d, ...entry }) => entry);
  assert.deepEqual(entries, stored);
});

test("storm-closed: the next storm of the rule is another one", async (t) => {
  const prism = await startPrism(t);
  const suppression = { count: 1, windowMs: 60_000 };
  const rule = { name: "r", condition: "event.type == 'a'", targetUsers: ["me"], suppression };
  const { id: ruleId } = (await prism.post<{ id: string }>("/api/v1/rules", rule)).body;
  const send = (): Promise<unknown> => prism.post("/events", [{ type: "a" }, { type: "a" }, { type: "a" }]);
  const open = (): unknown[] => rowsOf(prism, "select id from suppressed_batches where closedAt is null");
  const close = async (): Promise<void> => {
    const key = scalarOf<string>(prism, "select key from suppressed_batches where closedAt is null") ?? "";
    await commit(prism, { type: "storm-closed", ruleId, key }, (trx) =>
      trx.updateTable("suppressed_batches").set({ closedAt: 1 }).where("closedAt", "is", null).execute(),
    );
  };
  await send();
  const [first] = open();
  await close();
  assert.deepEqual(open(), []);
  await send();
  const [second] = open();
  assert.ok(second);
  assert.notDeepEqual(second, first);
  await close();
  await prism.restart();
  await send();
  assert.equal(open().length, 1);
});

test("schedules-changed: a schedule that is due fires", async (t) => {
  const prism = await startPrism(t);
  const given = { name: "s", queue: "retention", kind: "test", everyMs: 3_600_000, overlap: "allow" } as const;
  const origin = { module: null, createdBy: null, createdAt: 1, updatedAt: 1 };
  const schedule = ScheduleTable.newRow(given, { ...origin, id: uuidv7(), nextRunAt: Date.now() });
  await commit(prism, { type: "schedules-changed" }, (trx) => trx.insertInto("schedules").values(schedule).execute());
  await eventually("its job is made", () => scalarOf(prism, "select 1 from jobs where scheduleId = ?", schedule.id));
});

test("what is counted, announced or dead is known once, after the commit", async (t) => {
  const prism = await startPrism(t);
  const { bus } = prism.parts.base;
  const told: unknown[] = [];
  bus.on("user:approved", (payload) => void told.push(payload));
  bus.on("job:dead", (payload) => void told.push(payload));
  const dead = { id: uuidv7(), queue: "retention", kind: "test", label: null, error: "no" };
  const effects: readonly Effect[] = [
    { type: "announced", event: "user:approved", data: { userId: "u" } },
    { type: "jobs-died", jobs: [dead] },
    { type: "delivery-outcome", channel: "email", state: "skipped" },
    { type: "delivery-outcome", channel: "email", state: "delivered", latencyMs: 20 },
    { type: "turn-ended", target: "email x", jobId: dead.id },
  ];
  await prism.parts.base.database.write(async (trx) => {
    for (const effect of effects) addEffect(trx, effect);
    assert.deepEqual(told, []);
  });
  await eventually("the bus has told both", () => told.length === 2);
  assert.deepEqual(told, [{ userId: "u" }, dead]);
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_delivery_total\{channel="email",result="skipped"\} 1/);
  assert.match(text, /prism_delivery_latency_seconds_count\{channel="email"\} 1/);
});
