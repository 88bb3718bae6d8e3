import assert from "node:assert/strict";
import test from "node:test";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";

interface Sent {
  id: string;
  recipients: string[];
  error?: { code: string; details?: { path: string }[] };
}

const PATH = "/api/v1/notifications";
const NOTE = { title: "t", message: "m" };

test("S2-12: a notification that is sent, as its sender sees it and as it is stored", async (t) => {
  keepsPromise(t, ["S2-106", "S2-12"]);
  const prism = await startPrism(t);
  const me = (await prism.get<{ id: string }>("/api/v1/users/me")).body.id;
  const uma = await makeUser(prism, "uma");
  const { status, body, headers } = await prism.post<Sent & Record<string, unknown>>(PATH, {
    recipients: ["uma", "me"],
    title: "Deploy Cafe\u0301",
    message: "Done\u0007",
    action: { type: "open", url: "https://example.test/d", own: 1 },
    data: { build: 12, deep: { __proto__x: [null] } },
    priority: 600,
    channels: ["in_app"],
  });
  assert.equal(status, 201);
  const { id, createdAt, ...shown } = body;
  assert.deepEqual(shown, {
    ruleId: null,
    eventId: null,
    projectId: null,
    kind: "direct",
    title: "Deploy Café",
    message: "Done",
    body: "Done",
    sound: null,
    soundUrl: null,
    action: { type: "open", url: "https://example.test/d", own: 1 },
    data: { build: 12, deep: { __proto__x: [null] } },
    priority: 600,
    recipients: [uma.id, me],
    acknowledgedBy: [],
    delivered: false,
    pusherEventSent: false,
    correlationId: headers.get("x-request-id"),
    deliveredAt: null,
    aggregateCount: 1,
    offset: 1,
    userId: uma.id,
    read: false,
    me: {
      delivered: false,
      readAt: null,
      acknowledgedAt: null,
      acknowledgeNote: null,
      openedAt: null,
      webviewAction: null,
    },
  });
  assert.match(String(createdAt), /Z$/);
  assert.deepEqual(rowsOf(prism, "select userId, seq from notification_recipients order by seq"), [
    { userId: uma.id, seq: 1 },
    { userId: me, seq: 2 },
  ]);
  const [entry] = rowsOf<{ resourceId: string; metadata: string }>(
    prism,
    "select resourceId, metadata from audit_log where action = 'notification.sent'",
  );
  assert.equal(entry?.resourceId, id);
  assert.deepEqual(JSON.parse(entry?.metadata ?? ""), { kind: "direct", channel: "in_app", recipients: 2 });
});

test("D18: a recipient is named by me, id, external id or username, in this order, and is notified once", async (t) => {
  const prism = await startPrism(t);
  const me = (await prism.get<{ id: string }>("/api/v1/users/me")).body.id;
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ externalId: "vic" }).where("id", "=", uma.id).execute(),
  );
  for (const { name, recipients, told } of [
    { name: "me", recipients: { userId: "me" }, told: [me] },
    { name: "an id", recipients: { userId: vic.id }, told: [vic.id] },
    { name: "a username", recipients: { userId: "uma" }, told: [uma.id] },
    { name: "an external id before a username", recipients: { userId: "vic" }, told: [uma.id] },
    { name: "several, each once", recipients: { recipients: ["me", me, "uma", "vic", uma.id] }, told: [me, uma.id] },
  ])
    await t.test(name, async () => {
      const { status, body } = await prism.post<Sent>(PATH, { ...NOTE, ...recipients });
      assert.deepEqual([status, body.recipients], [201, told]);
    });
});

test("an unknown recipient is made in development and refused in production's default", async (t) => {
  const made = await startPrism(t);
  const { body } = await made.post<Sent>(PATH, { ...NOTE, userId: "user-id" });
  assert.deepEqual(
    rowsOf(
      made,
      "select id, externalId, name, username, email, passwordHash, status from users where externalId is not null",
    ),
    [
      {
        id: body.recipients[0],
        externalId: "user-id",
        name: "user-id",
        username: null,
        email: null,
        passwordHash: null,
        status: "active",
      },
    ],
  );
  assert.equal(scalarOf(made, "select count(*) from user_roles where userId = ?", body.recipients[0]), 0);
  assert.equal(
    scalarOf(
      made,
      "select metadata from audit_log where action = 'user.register' and resourceId = ?",
      body.recipients[0],
    ),
    '{"roles":[],"by":"recipient"}',
  );
  const again = await made.post<Sent>(PATH, { ...NOTE, userId: "user-id" });
  assert.deepEqual(again.body.recipients, body.recipients);
  for (const ref of ["0198c0de-0000-7000-8000-00000000dead", "control\u0007", "Me "]) {
    const reply = await made.post<Sent>(PATH, { ...NOTE, userId: ref });
    const isMade = ref !== "0198c0de-0000-7000-8000-00000000dead";
    assert.equal(reply.status, isMade ? 201 : 422, `an id of nobody makes nobody: ${JSON.stringify(ref)}`);
  }

  const strict = await startPrism(t, { settings: { "notifications.unknownRecipient": "reject" } });
  const refused = await strict.post<Sent>(PATH, { ...NOTE, recipients: ["me", "user-id"] });
  assert.deepEqual(
    [refused.status, refused.body.error?.code, refused.body.error?.details?.[0]?.path],
    [422, "RECIPIENT_NOT_FOUND", "recipients.1"],
  );
  assert.deepEqual([countOf(strict, "notifications"), countOf(strict, "notification_recipients")], [0, 0]);
});

test("a disabled user is not notified and not created again", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", uma.id).execute(),
  );
  for (const ref of ["uma", uma.id])
    assert.equal((await prism.post<Sent>(PATH, { ...NOTE, userId: ref })).body.error?.code, "RECIPIENT_NOT_FOUND");
  assert.equal(countOf(prism, "users"), 2);
});

test("a key needs the scope and reaches active members of its project only", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const uma = await makeUser(prism, "uma");
  await makeUser(prism, "vic");
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: uma.id, role: "viewer" });
  const key = async (projectId: string) =>
    (await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { scopes: ["notifications:send"] })).body
      .key;
  const shopKey = await key(shop.id);
  const send = (apiKey: string, body: object) => prism.post<Sent>(PATH, { ...NOTE, ...body }, { apiKey });
  assert.equal((await send(shop.apiKey, { userId: "uma" })).body.error?.code, "SCOPE_MISSING");
  const sent = await send(shopKey, { userId: "uma" });
  assert.equal(sent.status, 201);
  assert.equal(scalarOf(prism, "select projectId from notifications"), shop.id);
  for (const userId of ["vic", "nobody-yet", "me"]) {
    const { status, body } = await send(shopKey, { userId });
    assert.deepEqual([status, body.error?.code], [422, "RECIPIENT_NOT_FOUND"], userId);
  }
  assert.equal(scalarOf(prism, "select count(*) from users where externalId = 'nobody-yet'"), 0);
  assert.equal((await send(await key("default"), { userId: "vic" })).status, 201, "everybody is in default");
});

test("what a notification may not be made of is refused", async (t) => {
  const prism = await startPrism(t);
  const good = { ...NOTE, userId: "me" };
  for (const { name, change, status = 400, code = "VALIDATION_FAILED", path } of [
    { name: "no recipient", change: { userId: undefined } },
    { name: "two forms of recipients", change: { recipients: ["me"] } },
    { name: "an empty list", change: { userId: undefined, recipients: [] }, path: "recipients" },
    { name: "1001 recipients", change: { userId: undefined, recipients: Array(1001).fill("me") }, path: "recipients" },
    { name: "no title", change: { title: undefined }, path: "title" },
    { name: "an empty title", change: { title: "" }, path: "title" },
    { name: "a title of 256 characters", change: { title: "x".repeat(256) }, path: "title" },
    { name: "no message", change: { message: undefined } },
    { name: "message and body", change: { body: "b" } },
    { name: "a message of 4001 characters", change: { message: "x".repeat(4001) }, path: "message" },
    { name: "data over 16 KiB", change: { data: { x: "y".repeat(16_400) } }, path: "data" },
    { name: "data that is a list", change: { data: [] }, path: "data" },
    { name: "a priority below 0", change: { priority: -1 }, path: "priority" },
    { name: "a script as a link", change: { action: { type: "open", url: "javascript:0" } }, path: "action.url" },
    { name: "a sound", change: { sound: "bell.mp3" }, status: 404, code: "SOUND_NOT_FOUND" },
    { name: "a channel this server has not", change: { channels: ["email"] }, status: 501, code: "NOT_CONFIGURED" },
    { name: "an unknown member", change: { kind: "rule" }, path: "kind" },
  ])
    await t.test(name, async () => {
      const reply = await prism.post<Sent>(PATH, { ...good, ...change });
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
      if (path !== undefined) assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  assert.equal(countOf(prism, "notifications"), 0);
  assert.equal((await prism.post(PATH, { title: "t", body: "S0's name of it", userId: "me" })).status, 201);
});

test("a link may use an app's scheme that the operator has listed", async (t) => {
  const prism = await startPrism(t, { settings: { "notifications.appSchemes": "myapp" } });
  const send = (url: string) => prism.post(PATH, { ...NOTE, userId: "me", action: { type: "open", url } });
  assert.deepEqual([(await send("myapp://orders/1")).status, (await send("other://x")).status], [201, 400]);
});

test("a dedupe key is the sender's own: the next notification with it is not sent", async (t) => {
  const prism = await startPrism(t);
  const manager = await makeUser(prism, "manager", ["RuleManager"]);
  const send = (body: object, token?: string) =>
    prism.post<Sent>(PATH, { ...NOTE, userId: "me", dedupeKey: "k", ...body }, token === undefined ? {} : { token });
  const first = await send({});
  const again = await send({ title: "another" });
  assert.deepEqual([again.status, again.body.id], [201, first.body.id]);
  await prism.delete(`${PATH}/${first.body.id}`);
  assert.equal((await send({})).body.id, first.body.id, "also after its recipient has removed it");
  assert.notEqual((await send({}, manager.token)).body.id, first.body.id);
  assert.notEqual((await send({ dedupeKey: "other" })).body.id, first.body.id);
  assert.equal(countOf(prism, "notifications"), 3);
});

test("a repeated dedupe key returns the recipients' states only to callers who may read all", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const manager = await makeUser(prism, "manager", ["RuleManager"]);
  const operator = await makeUser(prism, "operator", ["Operator"]);
  const { body: keyed } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", {
    scopes: ["notifications:send"],
  });
  for (const { who, as, seesAll } of [
    { who: "a manager", as: { token: manager.token }, seesAll: false },
    { who: "an API key", as: { apiKey: keyed.key }, seesAll: false },
    { who: "an operator", as: { token: operator.token }, seesAll: true },
  ])
    await t.test(who, async () => {
      const send = () =>
        prism.post<Sent & Record<string, unknown>>(
          PATH,
          { ...NOTE, recipients: ["uma", "manager"], dedupeKey: "k" },
          as,
        );
      const first = await send();
      assert.deepEqual(first.body.recipients, [uma.id, manager.id]);
      const path = `${PATH}/${first.body.id}`;
      assert.equal((await prism.put(`${path}/acknowledge`, {}, { token: uma.token })).status, 200);
      const again = await send();
      if (!seesAll) assert.deepEqual(again.body, first.body, "what was answered the first time");
      else {
        const me = again.body["me"] as { readAt: string | null };
        assert.deepEqual([again.body["acknowledgedBy"], again.body["read"]], [[uma.id], true]);
        assert.notEqual(me.readAt, null);
      }
    });
});

test("D19: the bus event notify reaches a user; an invalid notification has no effect", async (t) => {
  const prism = await startPrism(t);
  const { bus: events } = prism.parts.base;
  for (const payload of [
    { userId: "1", title: "Bus!", body: "From a module.", more: true },
    { userId: "1" },
    "nonsense",
  ])
    assert.deepEqual(await events.deliver("notify", payload, "c-1"), { called: 1 });
  await events.idle();
  assert.deepEqual(rowsOf(prism, "select title, message, kind, correlationId from notifications"), [
    { title: "Bus!", message: "From a module.", kind: "direct", correlationId: "c-1" },
  ]);
});

test("S0-45: a module sends a notification, also in its own transaction", async (t) => {
  const prism = await startPrism(t);
  const { notify } = prism.parts.offers;
  const { database: db } = prism.parts.base;
  const note = { recipients: ["1"], title: "t", message: "m" };
  const { id } = await notify.send(note);
  assert.equal(scalarOf(prism, "select title from notifications where id = ?", id), "t");
  await assert.rejects(
    db.write(async (trx) => {
      await notify.send(note, { trx });
      throw new RangeError("the module has changed its mind");
    }),
    RangeError,
  );
  await assert.rejects(
    db.write(() => notify.send(note)),
    TypeError,
    "without its trx it would wait for itself",
  );
  assert.deepEqual([countOf(prism, "notifications"), countOf(prism, "notification_recipients")], [1, 1]);
});
