import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { allDecided } from "./support/all-decided.ts";

interface Sent {
  type: string;
  level: string;
  source: string | null;
  payload: { amount?: number | string; tags?: string[]; user?: { plan?: string | null }; text?: string };
}

type Rule = readonly [name: string, condition: string, matches: (event: Sent) => boolean];

/** Seven rules of different shapes, each beside what plain JavaScript says. */
const RULES: readonly Rule[] = [
  ["one type", "event.type == 'payment'", ({ type }) => type === "payment"],
  [
    "several types and a threshold",
    "event.type in ['payment', 'refund'] && event.amount > 1000",
    ({ type, payload: { amount } }) =>
      (type === "payment" || type === "refund") && typeof amount === "number" && amount > 1000,
  ],
  [
    "the beginning of a type",
    "startsWith(event.type, 'pay') and event.level != 'debug'",
    ({ type, level }) => type.startsWith("pay") && level !== "debug",
  ],
  ["an element of a list", "'eu' in event.tags", ({ payload }) => payload.tags?.includes("eu") === true],
  [
    "a missing member",
    "event.user.plan == null && exists(event.user)",
    ({ payload: { user } }) => user !== undefined && (user.plan ?? null) === null,
  ],
  [
    "two paths, either of which will do",
    "event.source == 'web' or matches(event.text, '^[0-9]+$')",
    ({ source, payload: { text } }) => source === "web" || (text !== undefined && /^[0-9]+$/.test(text)),
  ],
  [
    "a choice",
    "event.level == 'error' ? event.amount >= 10 : event.amount < 0",
    ({ level, payload: { amount } }) => typeof amount === "number" && (level === "error" ? amount >= 10 : amount < 0),
  ],
];

const sent: fc.Arbitrary<Sent> = fc.record({
  type: fc.constantFrom("payment", "payout", "refund", "login"),
  level: fc.constantFrom("debug", "info", "error"),
  source: fc.constantFrom(null, "web", "app"),
  payload: fc.record(
    {
      amount: fc.oneof(
        fc.integer({ min: -5, max: 2000 }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constant("1500"),
      ),
      tags: fc.array(fc.constantFrom("eu", "us", "EU"), { maxLength: 3 }),
      user: fc.record({ plan: fc.constantFrom(null, "free", "pro") }, { requiredKeys: [] }),
      text: fc.constantFrom("", "1", "12x", "007"),
    },
    { requiredKeys: [] },
  ),
});

test("S2-30: seven rules of different shapes fire exactly as plain JavaScript over the same events says", async (t) => {
  keepsPromise(t, "S2-30");
  const prism = await startPrism(t);
  for (const [name, condition] of RULES) {
    const { status } = await prism.post("/api/v1/rules", {
      name,
      condition,
      targetUsers: ["me"],
      titleTemplate: "{{event.n}}",
    });
    assert.equal(status, 201);
  }
  const events = fc.sample(sent, { numRuns: 900, seed: 7 });
  for (let from = 0; from < events.length; from += 150) {
    const part = events
      .slice(from, from + 150)
      .map((event, i) => ({ ...event, payload: { ...event.payload, n: from + i } }));
    assert.equal((await prism.post("/api/v1/events", part)).status, 202);
  }
  await allDecided(prism);
  for (const [name, condition, matches] of RULES) {
    const expected = events.flatMap((event, n) => (matches(event) ? [n] : []));
    const decided = rowsOf<{ n: number }>(
      prism,
      `select e.payload ->> 'n' as n from decisions d join events e on e.seq = d.eventSeq join rules r on r.id = d.ruleId
       where r.name = ? and d.outcome = 'fired' order by e.seq`,
      name,
    );
    assert.deepEqual(valuesOf(decided, "n"), expected, condition);
    const told = rowsOf<{ title: string }>(
      prism,
      "select n.title from notifications n join rules r on r.id = n.ruleId where r.name = ? order by n.id",
      name,
    );
    const sorted = told.map(({ title }) => Number(title)).sort((a, b) => a - b);
    assert.deepEqual(sorted, expected);
    assert.ok(expected.length > 10, `the events reach the rule: ${expected.length}`);
  }
});

test("S2-32: what a firing rule leaves: decision, totals, notification, recipient and its offset", async (t) => {
  keepsPromise(t, "S2-32");
  const prism = await startPrism(t);
  const me = await prism.get<{ id: string }>("/api/v1/users/me");
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "big payment",
    condition: "event.amount > 10",
    targetUsers: ["me"],
    titleTemplate: "{{event.type | upper}} of {{event.amount}}",
    messageTemplate: "From {{event.source | default:'nowhere'}}: {{event.payload.note}}",
    action: { type: "open", url: "https://example.test/p", extra: { kept: true } },
    priority: 7,
  });
  const { body: event } = await prism.post<{ id: string; seq: number }>("/api/v1/events", {
    type: "pay",
    amount: 11,
  });
  const [decision] = rowsOf<Record<string, unknown>>(prism, "select * from decisions");
  const [notification] = rowsOf<Record<string, unknown>>(prism, "select * from notifications");
  const at = decision?.["at"];
  assert.deepEqual(decision, {
    eventSeq: event.seq,
    ruleId: rule.body.id,
    ruleVersion: 1,
    outcome: "fired",
    notificationId: notification?.["id"],
    at,
    key: null,
  });
  assert.equal(scalarOf(prism, "select processedAt from events"), at);
  assert.deepEqual(
    { ...notification, id: null, action: JSON.parse(String(notification?.["action"])) },
    {
      id: null,
      ruleId: rule.body.id,
      eventId: event.id,
      projectId: prism.parts.offers.projects.defaultId,
      kind: "rule",
      title: "PAY of 11",
      message: "From nowhere: ",
      sound: null,
      action: { type: "open", url: "https://example.test/p", extra: { kept: true } },
      data: null,
      channels: '["in_app","pusher","fcm","apns","webpush","service"]',
      priority: 7,
      dedupeKey: null,
      aggregateCount: 1,
      scheduledJobId: null,
      delivered: 0,
      pusherEventSent: 0,
      correlationId: event.id,
      createdAt: at,
      deliveredAt: null,
      expiresAt: null,
      incidentId: null,
    },
  );
  const [recipient] = rowsOf<Record<string, unknown>>(
    prism,
    "select userId, seq, notificationId from notification_recipients",
  );
  assert.deepEqual(recipient, { userId: me.body.id, seq: 1, notificationId: notification?.["id"] });
  const [stats] = rowsOf(prism, "select matched, fired, noRecipients, errors, lastMatchedAt from rule_stats");
  assert.deepEqual(stats, { matched: 1, fired: 1, noRecipients: 0, errors: 0, lastMatchedAt: at });
  assert.equal(
    scalarOf(prism, "select count(*) from audit_log where action like 'notification%'"),
    0,
    "the decision row is the record",
  );
});

test("all matching rules fire, by priority descending and then by age", async (t) => {
  const prism = await startPrism(t);
  for (const [name, priority] of [
    ["c", 5],
    ["e", 0],
    ["a", 1000],
    ["d", 5],
    ["f", 0],
    ["b", 6],
  ] as const)
    await prism.post("/api/v1/rules", {
      name,
      priority,
      condition: "event.type == 'x'",
      targetUsers: ["me"],
      titleTemplate: name,
    });
  await prism.post("/api/v1/rules", {
    name: "off",
    active: false,
    condition: "event.type == 'x'",
    targetUsers: ["me"],
  });
  await prism.post("/api/v1/events", [{ type: "x" }, { type: "x" }]);
  await allDecided(prism);
  const titles = rowsOf<{ title: string }>(
    prism,
    "select n.title from notification_recipients r join notifications n on n.id = r.notificationId order by r.seq",
  );
  assert.equal(titles.map(({ title }) => title).join(""), "abcdefabcdef");
});

test("a rule of a project sees the events of that project only; a rule of none sees all", async (t) => {
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const rule = { condition: "event.type == 'x'", targetUsers: ["me"] };
  await prism.post("/api/v1/rules", { ...rule, name: "shop's", projectId: shop.id });
  await prism.post("/api/v1/rules", { ...rule, name: "default's", projectId: "default" });
  await prism.post("/api/v1/rules", { ...rule, name: "everybody's" });
  await prism.post("/api/v1/events", [{ type: "x" }, { type: "x", projectId: "shop" }]);
  await allDecided(prism);
  const fired = rowsOf<{ seq: number; name: string }>(
    prism,
    "select d.eventSeq as seq, r.name from decisions d join rules r on r.id = d.ruleId order by 1, 2",
  );
  assert.deepEqual(fired, [
    { seq: 1, name: "default's" },
    { seq: 1, name: "everybody's" },
    { seq: 2, name: "everybody's" },
    { seq: 2, name: "shop's" },
  ]);
});

test("rendered text is cut to its field, cleaned, and not read as a template again", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
    titleTemplate: "{{event.title}}",
    messageTemplate: "{{event.payload | json}} {{event.text}}",
  });
  const long = "\u0958".repeat(300);
  await prism.post("/api/v1/events", [
    { type: "x", title: long, text: "y".repeat(5000) },
    { type: "x", title: "{{event.type}}\u202e\u0007", text: "" },
  ]);
  await allDecided(prism);
  const [first, second] = rowsOf<{ title: string; message: string }>(
    prism,
    "select title, message from notifications order by id",
  );
  assert.equal(
    [...(first?.title ?? "")].length,
    255,
    "a letter that normalising takes apart counts as what it becomes",
  );
  assert.ok(first?.title.endsWith("…"));
  assert.equal([...(first?.message ?? "")].length, 4000);
  assert.equal(second?.title, "{{event.type}}");
  assert.equal(countOf(prism, "notifications"), 2);
});

test("event as a whole is its envelope, and nothing that the program keeps with it", async (t) => {
  const prism = await startPrism(t);
  const rule = { name: "r", condition: "event.type == 'w'", targetUsers: ["me"], messageTemplate: "{{event | json}}" };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "w", dedupeKey: "k", payload: { a: 1 } });
  const [row] = rowsOf<{ message: string }>(prism, "select message from notifications");
  const seen = JSON.parse(String(row?.message)) as Record<string, unknown>;
  const envelope = [
    "correlationId",
    "id",
    "level",
    "occurredAt",
    "payload",
    "projectId",
    "receivedAt",
    "source",
    "type",
  ];
  assert.deepEqual(Object.keys(seen).sort(), envelope);
  assert.deepEqual([seen["id"], seen["correlationId"], seen["payload"]], [body.id, body.id, { a: 1 }]);
});
