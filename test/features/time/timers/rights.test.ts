import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { createServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";

interface Made {
  jobId: string;
  error?: { code: string; details?: { permission?: string }[] };
}

const PATH = "/api/v1/time/trigger";
const clock = new FakeClock();
let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start({ clock });
});
after(() => prism.stop());

const notify = (userId: string) => ({
  label: "l",
  delayMs: 1000,
  action: { type: "notify", payload: { userId, title: "t", body: "b" } },
});
const event = (persist = false) => ({ label: "l", delayMs: 1000, action: { type: "event", event: "x", persist } });

function pass(ms: number): void {
  clock.advance(ms);
  prism.parts.offers.runner.enqueued([]);
}

test("who may make which timer: to oneself, to others, on the bus", async (t) => {
  const OK = 201;
  for (const { role, self, other, bus } of [
    { role: "Admin", self: OK, other: OK, bus: OK },
    { role: "Operator", self: OK, other: OK, bus: OK },
    { role: "RuleManager", self: OK, other: OK, bus: "events:emit" },
    { role: "User", self: OK, other: "notifications:send", bus: "events:emit" },
    { role: "Viewer", self: "timers:create", other: "timers:create", bus: "timers:create" },
    { role: "Auditor", self: "timers:create", other: "timers:create", bus: "timers:create" },
  ]) {
    const { token } = await makeUser(prism, role.toLowerCase(), [role]);
    await makeUser(prism, `friend-of-${role.toLowerCase()}`);
    for (const { what, body, expected } of [
      { what: "to oneself", body: notify("me"), expected: self },
      { what: "to another", body: notify(`friend-of-${role.toLowerCase()}`), expected: other },
      { what: "on the bus", body: event(), expected: bus },
    ])
      await t.test(`${role} ${what}`, async () => {
        const reply = await prism.post<Made>(PATH, body, { token });
        if (expected === OK) assert.equal(reply.status, OK, reply.text);
        else {
          assert.deepEqual([reply.status, reply.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
          assert.equal(reply.body.error?.details?.[0]?.permission, expected);
        }
      });
  }
});

test("an unknown name creates no user for a caller who may only notify themselves", async () => {
  const { token } = await makeUser(prism, "lonely", ["User"]);
  const users = countOf(prism, "users");
  assert.equal((await prism.post(PATH, notify("brand-new"), { token })).status, 403);
  assert.equal(countOf(prism, "users"), users);
});

test("a service token makes the timers that its scopes allow", async () => {
  const { parts } = prism;
  const userId = parts.offers.devUserId ?? "";
  const make = (scopes: ("timers:create" | "notifications:send" | "events:emit")[]) =>
    parts.base.database.write((trx) => createServiceToken(parts.base, { userId, name: "t", scopes }, trx));
  const own = await make(["timers:create"]);
  assert.equal((await prism.post(PATH, notify("me"), { token: own.token })).status, 201);
  assert.equal((await prism.post(PATH, event(), { token: own.token })).status, 403);
  const bus = await make(["timers:create", "events:emit"]);
  assert.equal((await prism.post(PATH, event(), { token: bus.token })).status, 201);
});

test("S0-29 the bus event notify needs what a notification needs, and is audited as its creator's", async (t) => {
  const { parts } = prism;
  const maker = await makeUser(prism, "maker", ["Operator"]);
  await makeUser(prism, "told");
  const tokenFor = async (...scopes: ("timers:create" | "notifications:send" | "events:emit")[]) =>
    (
      await parts.base.database.write((trx) =>
        createServiceToken(parts.base, { userId: maker.id, name: "t", scopes }, trx),
      )
    ).token;
  const onBus = (payload: object) => ({
    label: "l",
    delayMs: 1000,
    action: { type: "event", event: "notify", payload: { body: "b", ...payload } },
  });
  const emits = await tokenFor("timers:create", "events:emit");
  const sends = await tokenFor("timers:create", "notifications:send");
  const both = await tokenFor("timers:create", "events:emit", "notifications:send");
  for (const { name, token, payload, missing } of [
    { name: "another", token: emits, payload: { userId: "told" }, missing: "notifications:send" },
    { name: "no known user", token: emits, payload: { userId: "never-seen" }, missing: "notifications:send" },
    { name: "no name at all", token: emits, payload: { userId: ["told"] }, missing: "notifications:send" },
    { name: "another, without events:emit", token: sends, payload: { userId: "told" }, missing: "events:emit" },
    { name: "himself", token: emits, payload: { userId: "me" }, missing: null },
    { name: "himself by name", token: emits, payload: { userId: "maker" }, missing: null },
    { name: "another, with both", token: both, payload: { userId: "told" }, missing: null },
  ])
    await t.test(name, async () => {
      const reply = await prism.post<Made>(PATH, onBus({ title: name, ...payload }), { token });
      assert.equal(reply.status, missing === null ? 201 : 403, reply.text);
      if (missing !== null) {
        assert.equal(reply.body.error?.details?.[0]?.permission, missing);
        return;
      }
      pass(1000);
      const sentRows = () =>
        rowsOf<{ actor: string; username: string }>(
          prism,
          `select a.actor, u.username from audit_log a join notifications n on n.id = a.resourceId
           join notification_recipients r on r.notificationId = n.id join users u on u.id = r.userId
           where a.action = 'notification.sent' and n.title = ?`,
          name,
        );
      await eventually("it has fired", () => sentRows().length > 0);
      const [sent] = sentRows();
      assert.deepEqual(JSON.parse(sent?.actor ?? "{}"), { type: "user", id: maker.id });
      assert.equal(sent?.username, payload.userId === "told" ? "told" : "maker");
    });
});

test("a timer of a creator without the permission is dead when it fires, and notifies no user", async (t) => {
  for (const { name, body, change } of [
    {
      name: "the creator was disabled",
      body: notify("me"),
      change: (id: string) =>
        prism.parts.base.database.write((trx) =>
          trx.updateTable("users").set({ status: "disabled" }).where("id", "=", id).execute(),
        ),
    },
    {
      name: "the role that allows it was taken away",
      body: event(true),
      change: (id: string) =>
        prism.parts.base.database.write((trx) => trx.deleteFrom("user_roles").where("userId", "=", id).execute()),
    },
  ])
    await t.test(name, async () => {
      const { id, token } = await makeUser(prism, name.replaceAll(" ", "-"), ["Operator"]);
      const { body: made } = await prism.post<Made>(PATH, body, { token });
      await change(id);
      prism.rightsChanged();
      const before = [countOf(prism, "notifications"), countOf(prism, "events")];
      pass(1000);
      await eventually(
        "it is dead",
        () => scalarOf(prism, "select state from jobs where id = ?", made.jobId) === "dead",
      );
      const [row] = rowsOf<{ lastError: string; attempts: number }>(
        prism,
        "select lastError, attempts from jobs where id = ?",
        made.jobId,
      );
      assert.match(row?.lastError ?? "", /^FORBIDDEN/);
      assert.equal(row?.attempts, 1);
      await prism.parts.base.bus.idle();
      const others = rowsOf(prism, "select 1 from notification_recipients where userId = ?", id);
      assert.deepEqual([others.length, countOf(prism, "events")], [0, before[1]]);
    });
});
