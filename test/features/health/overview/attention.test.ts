import assert from "node:assert/strict";
import test from "node:test";
import type { AttentionItem as Item } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

async function itemsOf(prism: TestPrism, token?: string, query = ""): Promise<Item[]> {
  const reply = await prism.get<{ items: Item[] }>(`/api/v1/attention${query}`, token === undefined ? {} : { token });
  assert.equal(reply.status, 200, reply.text);
  return reply.body.items;
}

/** Lines as people read them. */
async function linesOf(prism: TestPrism, token?: string): Promise<string[]> {
  const items = await itemsOf(prism, token, "?grouped=true");
  return items.map(({ severity, word, title, detail }) => [severity, word ?? "", title, detail].join(" | "));
}

const ofKind = (items: readonly Item[], kind: string): Item[] => items.filter((item) => item.kind === kind);

test("an urgent notification needs attention until a recipient acknowledges it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const send = (priority: number, title: string) =>
    prism.post<{ id: string }>("/api/v1/notifications", {
      recipients: ["me", "uma"],
      title,
      message: "m",
      priority,
    });
  const { body: urgent } = await send(500, "db-2 is down");
  await send(499, "unimportant");
  await prism.patch(`/api/v1/notifications/${urgent.id}/read`);
  const [item, ...others] = ofKind(await itemsOf(prism), "notification");
  assert.deepEqual(others, []);
  assert.deepEqual(
    [item?.severity, item?.title, item?.detail, item?.link, item?.ids],
    ["critical", "db-2 is down", "1 of 2 recipients has not seen it", `/inbox/${urgent.id}`, [urgent.id]],
  );
  assert.deepEqual(item?.counts, { recipients: 2, seen: 1, suppressed: 0 });

  const [own] = ofKind(await itemsOf(prism, uma.token), "notification");
  assert.equal(own?.detail, "You have not acknowledged it");
  assert.equal(own.counts["recipients"], 1, "nothing of other recipients");

  await prism.put(`/api/v1/notifications/${urgent.id}/acknowledge`, {});
  assert.deepEqual(ofKind(await itemsOf(prism), "notification"), []);
  assert.equal(ofKind(await itemsOf(prism, uma.token), "notification").length, 1, "the user's own is still open");
});

test("operators see paused queues and channels, dead jobs and accounts to approve; other users see none of it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const viewer = await makeUser(prism, "vera", ["Viewer"]);
  const { database, clock } = prism.parts.base;
  await database.write((trx) => trx.updateTable("users").set({ status: "pending" }).where("id", "=", uma.id).execute());
  assert.equal((await prism.post("/api/v1/queues/timers/pause")).status, 200);
  const mail = prism.parts.offers.channels.of("email");
  assert.ok(mail);
  prism.parts.offers.circuits.of(mail, "").open(new Error("mail.example.org refused the connection"));
  const items = await itemsOf(prism);
  const [queue] = ofKind(items, "queue");
  assert.deepEqual([queue?.title, queue?.severity], ["Queue timers is paused", "info"]);
  const [channel] = ofKind(items, "channel");
  assert.deepEqual(
    [channel?.title, channel?.detail, channel?.link],
    [
      "Mail is paused",
      "mail.example.org refused the connection · 0 deliveries wait",
      "/deliveries?channel=email&state=waiting",
    ],
  );
  assert.ok(Date.parse(channel?.until ?? "") > clock.now());
  assert.equal(ofKind(items, "approvals")[0]?.title, "1 account is pending");

  const seen = new Set((await itemsOf(prism, viewer.token)).map(({ kind }) => kind));
  assert.deepEqual([seen.has("channel"), seen.has("queue"), seen.has("approvals")], [true, true, false]);
  const plain = await makeUser(prism, "paul", ["User"]);
  assert.deepEqual(await itemsOf(prism, plain.token), []);
});

test("a dead job needs attention until it is retried", async (t) => {
  const prism = await startPrism(t);
  prism.parts.offers.runner.handle("test.dies", () => Promise.reject(new Error("no")));
  await prism.parts.offers.jobs.enqueue({
    queue: "timers",
    kind: "test.dies",
    payload: {},
    runAt: prism.parts.base.clock.now(),
    maxAttempts: 1,
  });
  await eventually("the job is dead", async () => ofKind(await itemsOf(prism), "jobs").length === 1);
  const [item] = ofKind(await itemsOf(prism), "jobs");
  assert.deepEqual([item?.title, item?.link], ["1 job failed in timers", "/jobs?state=dead&queue=timers"]);
});

test("an incident needs attention while it is open; its notifications are not listed beside it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["Admin"]);
  const alerts = [{ labels: { alertname: "DiskFull", instance: "db-1" } }];
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
  const items = await eventually("the incident", async () => {
    const found = await itemsOf(prism, uma.token);
    return ofKind(found, "incident").length === 1 ? found : undefined;
  });
  const [item] = ofKind(items, "incident");
  const id = item?.ids[0];
  assert.deepEqual([item?.severity, item?.title, item?.link], ["critical", "#1 DiskFull", `/incidents/${id}`]);
  assert.equal(item?.detail, "1 alert is firing; no one has acknowledged it");
  assert.deepEqual(ofKind(items, "notification"), []);
  await prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token: uma.token });
  assert.deepEqual(ofKind(await itemsOf(prism, uma.token), "incident"), []);
});

test("a schedule that a policy names needs attention while no one is on call on it; a mirror's does not", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const reader = await makeUser(prism, "rita", ["User"]);
  const paul = await makeUser(prism, "paul", ["User"]);
  for (const { id } of [uma, reader])
    await prism.post("/api/v1/projects/default/members", { userId: id, role: "viewer" });
  const ids: string[] = [];
  for (const name of ["Database", "Network", "Unused"]) {
    const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name, timezone: "UTC" });
    ids.push(body.id);
  }
  const [database = "", network = ""] = ids;
  const name = (policy: string, ...schedules: string[]) =>
    prism.post("/api/v1/policies", {
      ...{ name: policy, steps: [{ type: "notify", schedules: schedules.map((id) => ({ id })) }] },
    });
  assert.equal((await name("Night", database)).status, 201);
  const found = async (token?: string) => ofKind(await itemsOf(prism, token), "oncall");
  const [item, ...others] = await found();
  assert.deepEqual(others, []);
  assert.deepEqual(
    [item?.severity, item?.title, item?.detail, item?.link, item?.key],
    [
      "warning",
      "No one is on call on Database",
      "The policy Night would notify no one else",
      `/oncall/${database}`,
      `oncall:${database}`,
    ],
  );
  assert.equal((await found(reader.token)).length, 1, "also for who reads the project");
  assert.deepEqual(await found(paul.token), [], "and not for others");

  await name("Day", database, network);
  const lines = async () => (await linesOf(prism)).filter((line) => line.includes("on call on"));
  assert.deepEqual(await lines(), [
    "warning |  | No one is on call on 2 schedules that policies name | Database, Network",
  ]);

  const now = prism.parts.base.clock.now();
  const override = {
    start: new Date(now - 3_600_000).toISOString(),
    end: new Date(now + 3_600_000).toISOString(),
    users: ["uma"],
  };
  assert.equal((await prism.post(`/api/v1/oncall/schedules/${database}/overrides`, override)).status, 201);
  const { body } = await prism.get<{ data: { scheduleId: string; current: unknown[] }[] }>("/api/v1/oncall/now");
  const gaps = body.data.filter(({ current }) => current.length === 0).map(({ scheduleId }) => scheduleId);
  assert.ok(!gaps.includes(database), "the schedule's page says the same");
  assert.deepEqual(await lines(), [], "another schedule of the step has someone");
  await prism.patch(`/api/v1/users/${uma.id}`, { status: "disabled" });
  assert.equal((await found()).length, 2, "who is on call cannot be reached");
  const mirror = { settings: { mirror: { from: "oncall" } } };
  assert.equal((await prism.patch("/api/v1/projects/default", mirror)).status, 200);
  assert.deepEqual(await found(), []);
});

/** Pauses a provider that has one target, or one target of a channel. */
function pause(prism: TestPrism, channel: "email" | "webhook", target: string): void {
  const found = prism.parts.offers.channels.of(channel);
  assert.ok(found);
  prism.parts.offers.circuits.of(found, target).open(new Error("the connection was refused"));
}

test("U5 what needs attention fits into ten lines: deliveries by name, incidents by severity and age, one line for each of the rest", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  await makeUser(prism, "ann", ["Admin"]);
  const now = prism.parts.base.clock.now();
  const fire = (alertname: string, severity: string | undefined, minutes: number) =>
    prism.post("/api/v1/alerts", {
      alerts: [{ labels: { alertname }, severity, startsAt: new Date(now - minutes * 60_000).toISOString() }],
    });
  const fired: readonly (readonly [string, string | undefined, number])[] = [
    ["Slow", "warning", 51],
    ["Note", "info", 300],
    ["Down", "critical", 3],
    ["Older", "page", 12],
    ["Unnamed", undefined, 5],
    ...Array.from({ length: 4 }, (_, i) => [`Info${i}`, "info", 1] as const),
  ];
  for (const each of fired) await fire(...each);
  for (const [name, count] of [
    ["Backup failed", 3],
    ["Payment declined", 2],
  ] as const) {
    const rule = {
      ...{ name, condition: `event.type == '${name}'`, titleTemplate: name, messageTemplate: "m" },
      ...{ targetRoles: ["Admin"], priority: 800 },
    };
    assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
    for (let i = 0; i < count; i++) await prism.post("/api/v1/events", { type: name });
  }
  const { body: webhook } = await prism.post<{ id: string }>("/api/v1/webhooks", {
    url: "http://127.0.0.1:9/secret-path",
    eventTypes: ["*"],
  });
  pause(prism, "email", "");
  pause(prism, "webhook", webhook.id);
  await eventually("the incidents and notifications", async () => {
    const items = await itemsOf(prism, undefined, "?grouped=true");
    return ofKind(items, "incident").length === 5 && ofKind(items, "notifications").length === 1;
  });
  const lines = (await linesOf(prism)).filter((line) => !line.includes("Node.js"));
  const people = "Developer, ann notified";
  const shown = lines.map((line) => line.replace(/\d+ deliver(y|ies) waits?/, "deliveries wait"));
  assert.deepEqual(shown, [
    "critical |  | Mail is paused | the connection was refused · deliveries wait",
    `critical | critical | #4 Older | ${people}`,
    `critical | critical | #3 Down | ${people}`,
    `critical | high urgency | #5 Unnamed | ${people}`,
    `warning | warning | #1 Slow | ${people}`,
    `info | info | #2 Note | ${people}`,
    "warning |  | 4 more open incidents | They are less severe, or newer",
    "warning |  | Webhook 127.0.0.1:9 is paused | the connection was refused · deliveries wait",
    "warning |  | 5 unseen notifications of 2 rules | Backup failed (3), Payment declined (2)",
  ]);
  const [first] = ofKind(await itemsOf(prism, undefined, "?grouped=true"), "incident");
  assert.equal(first?.project, null, "there is only one");
  assert.equal(first?.at, new Date(now - 12 * 60_000).toISOString());
});
