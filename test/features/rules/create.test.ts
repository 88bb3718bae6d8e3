import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

interface Refusal {
  error?: { code: string; details?: { path?: string; code?: string; position?: number; expected?: string[] }[] };
}

const RULE = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };

test("S2-09: a rule with all its members, and with their defaults", async (t) => {
  keepsPromise(t, "S2-09");
  const prism = await startPrism(t);
  const me = (await prism.get<{ id: string }>("/api/v1/users/me")).body.id;
  const user = await makeUser(prism, "uma");
  const noStats = {
    matched: 0,
    fired: 0,
    suppressed: 0,
    deduped: 0,
    cooled: 0,
    noRecipients: 0,
    counted: 0,
    alertsOpened: 0,
    alertsResolved: 0,
    errors: 0,
    lastMatchedAt: null,
    lastError: null,
  };
  const full = {
    projectId: prism.parts.offers.projects.defaultId,
    name: "Big payments",
    description: "Tell the operators",
    condition: "event.type == 'payment' && event.amount > 1000",
    targetRoles: ["Operator", "Admin"],
    targetUsers: [user.id],
    channels: ["in_app", "fcm"],
    titleTemplate: "{{event.amount}}",
    messageTemplate: "{{event.payload | json}}",
    sound: null,
    action: { type: "open", url: "https://example.test/pay", label: "Open", own: { kept: [1] } },
    priority: 500,
    active: false,
    suppression: { count: 3, windowMs: 60_000, mode: "batch", key: "{{event.host}}" },
    dedupe: { key: "{{event.type}}", windowMs: 60_000 },
    cooldownMs: 1000,
    threshold: { count: 3, windowMs: 60_000, key: "{{event.host}}" },
    absence: null,
    alert: {
      key: "{{event.host}}",
      labels: { team: "db", host: "{{ event.host }}" },
      annotations: { runbook: "https://example.test/{{event.type}}" },
      severity: "critical",
      resolve: "event.type == 'payment.ok'",
      resolveAfterMs: 3_600_000,
      forMs: 60_000,
    },
  };
  const made = await answered(201, prism.post<Record<string, unknown>>("/api/v1/rules", full));
  assert.equal(made.headers.get("etag"), '"1"');
  const { id, createdAt, updatedAt, ...shown } = made.body;
  assert.deepEqual(shown, {
    ...full,
    soundUrl: null,
    broken: null,
    warnings: [],
    version: 1,
    createdBy: me,
    stats: noStats,
  });
  assert.equal(createdAt, updatedAt);
  assert.deepEqual((await prism.get(`/api/v1/rules/${id}`)).body, made.body);

  const least = await prism.post<Record<string, unknown>>("/api/v1/rules", { ...RULE, name: "a {{b}} {{" });
  const { id: _id, createdAt: _c, updatedAt: _u, ...defaults } = least.body;
  assert.deepEqual(defaults, {
    projectId: null,
    name: "a {{b}} {{",
    description: "",
    condition: RULE.condition,
    targetRoles: [],
    targetUsers: [me],
    channels: ["in_app", "pusher", "fcm", "apns", "webpush", "service"],
    titleTemplate: null,
    messageTemplate: null,
    sound: null,
    soundUrl: null,
    broken: null,
    warnings: [],
    action: null,
    priority: 0,
    suppression: null,
    dedupe: null,
    cooldownMs: 0,
    threshold: null,
    absence: null,
    alert: null,
    active: true,
    version: 1,
    createdBy: me,
    stats: noStats,
  });
});

test("what a rule may not be made of is refused, and nothing of it is stored", async (t) => {
  const prism = await startPrism(t, { settings: { "notifications.unknownRecipient": "reject" } });
  for (const { name, change, status = 400, code = "VALIDATION_FAILED", path } of [
    { name: "no name", change: { name: undefined }, path: "name" },
    { name: "an empty name", change: { name: "" }, path: "name" },
    { name: "a name of controls only", change: { name: "\u0000\u202e" }, path: "name" },
    { name: "a name of 256 characters", change: { name: "x".repeat(256) }, path: "name" },
    { name: "a description of 4001 characters", change: { description: "x".repeat(4001) }, path: "description" },
    { name: "no condition", change: { condition: undefined }, path: "condition" },
    { name: "an empty condition", change: { condition: "" }, path: "condition" },
    { name: "no recipients", change: { targetUsers: undefined }, path: "targetRoles" },
    { name: "empty lists of whom to tell", change: { targetUsers: [], targetRoles: [] }, path: "targetRoles" },
    { name: "33 roles", change: { targetRoles: Array(33).fill("Admin") }, path: "targetRoles" },
    { name: "1001 users", change: { targetUsers: Array(1001).fill("me") }, path: "targetUsers" },
    {
      name: "an unknown role",
      change: { targetRoles: ["Admin", "Boss"] },
      status: 404,
      code: "ROLE_NOT_FOUND",
      path: "targetRoles.1",
    },
    {
      name: "an unknown user",
      change: { targetUsers: ["me", "ghost"] },
      status: 422,
      code: "RECIPIENT_NOT_FOUND",
      path: "targetUsers.1",
    },
    { name: "an unknown project", change: { projectId: "none" }, status: 404, code: "PROJECT_NOT_FOUND" },
    { name: "an unknown channel", change: { channels: ["smoke"] }, path: "channels.0" },
    { name: "no channel", change: { channels: [] }, path: "channels" },
    {
      name: "a channel this server has not",
      change: { channels: ["in_app", "email"] },
      status: 501,
      code: "NOT_CONFIGURED",
    },
    { name: "an unknown sound", change: { sound: "bell.mp3" }, status: 404, code: "SOUND_NOT_FOUND" },
    { name: "a priority above 32 bits", change: { priority: 2 ** 31 }, path: "priority" },
    { name: "a priority that is not a whole number", change: { priority: 1.5 }, path: "priority" },
    { name: "active as a word", change: { active: "yes" }, path: "active" },
    { name: "an action without a type", change: { action: { url: "https://a.test" } }, path: "action.type" },
    {
      name: "a link that is a script",
      change: { action: { type: "open", url: "javascript:alert(1)" } },
      path: "action.url",
    },
    { name: "a link that is data", change: { action: { type: "open", url: "data:text/html,x" } }, path: "action.url" },
    { name: "an action over 4 KiB", change: { action: { type: "open", own: "x".repeat(4096) } }, path: "action" },
    { name: "an unknown member", change: { colour: "red" }, path: "colour" },
    { name: "a member called __proto__", change: {}, path: "__proto__" },
    {
      name: "a template with an unknown filter",
      change: { titleTemplate: "{{event.type | shout}}" },
      status: 422,
      code: "INVALID_TEMPLATE",
      path: "titleTemplate",
    },
    {
      name: "a template that is not closed",
      change: { messageTemplate: "{{event.type" },
      status: 422,
      code: "INVALID_TEMPLATE",
      path: "messageTemplate",
    },
    { name: "a title template of 256 characters", change: { titleTemplate: "x".repeat(256) }, path: "titleTemplate" },
  ]) {
    await t.test(name, async () => {
      const body = JSON.stringify({ ...RULE, ...change });
      const raw = name.endsWith("__proto__") ? body.replace("{", '{"__proto__":{"x":1},') : body;
      const reply = await prism.post<Refusal>("/api/v1/rules", raw);
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
      if (path !== undefined) assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  }
  assert.deepEqual([countOf(prism, "rules"), countOf(prism, "rule_versions")], [0, 0]);
  assert.equal(scalarOf(prism, "select count(*) from audit_log where action like 'rule.%'"), 0);
  assert.equal(countOf(prism, "users"), 1, "no user was made on the way");
});

test("S2-99: a condition that does not read is refused with the place where it stops making sense", async (t) => {
  keepsPromise(t, "S2-99");
  const prism = await startPrism(t);
  for (const { condition, detail, position } of [
    { condition: "event.type = 'x'", detail: "SYNTAX", position: 11 },
    { condition: "alert(1)", detail: "UNKNOWN_NAME", position: 0 },
    { condition: "event.__proto__.x == 1", detail: "UNSAFE_NAME", position: 6 },
    { condition: "1 + 1", detail: "TYPE", position: 0 },
    { condition: `event.x == '${"y".repeat(4096)}'`, detail: "LIMIT", position: 4096 },
  ]) {
    const { status, body } = await prism.post<Refusal>("/api/v1/rules", { ...RULE, condition });
    const [found] = body.error?.details ?? [];
    assert.deepEqual(
      [status, body.error?.code, found?.path, found?.code, found?.position],
      [422, "INVALID_CONDITION", "condition", detail, position],
      condition,
    );
    assert.ok(Array.isArray(found?.expected));
  }
});

test("S2-96: text members are stored as plain text: normalised, without controls, with their markup", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ name: string; description: string; action: { label: string; note: string } }>(
    "/api/v1/rules",
    {
      ...RULE,
      name: "<b>a < b</b> Cafe\u0301\u0007",
      description: "one\ntwo\u202e",
      action: { type: "open", label: "\u200fgo\ud800", note: "kept\u0007" },
    },
  );
  assert.equal(body.name, "<b>a < b</b> Café");
  assert.equal(body.description, "one\ntwo");
  assert.deepEqual(body.action, { type: "open", label: "go", note: "kept\u0007" });
});

test("roles are meant by id: a rule follows a role through a change of its name", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/rules", { ...RULE, targetRoles: ["operator"] });
  await prism.services.db.write((trx) =>
    trx.updateTable("roles").set({ name: "Watch" }).where("name", "=", "Operator").execute(),
  );
  const { body: shown } = await prism.get<{ targetRoles: string[] }>(`/api/v1/rules/${body.id}`);
  assert.deepEqual(shown.targetRoles, ["Watch"]);
});

test("unknown users are made where the configuration says so, known by the reference", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ targetUsers: string[] }>("/api/v1/rules", {
    ...RULE,
    targetUsers: ["user-id", "user-id"],
  });
  const made = rowsOf<{ id: string }>(
    prism,
    "select id from users where externalId = 'user-id' and passwordHash is null",
  );
  assert.deepEqual(body.targetUsers, valuesOf(made, "id"));
  assert.equal(made.length, 1);
});
