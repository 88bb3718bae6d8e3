import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { WebPeer } from "./support/web-peer.ts";

interface Call {
  readonly id: string;
  readonly eventId: string;
  readonly userId: string;
}

const callsOf = (peer: WebPeer): Call[] => peer.received.map(({ body }) => (JSON.parse(body) as { data: Call }).data);

/** A project with a rule that notifies all its members by webhook. */
async function shopWith(t: TestContext, members: readonly string[]) {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const shop = await makeProject(prism);
  const people = new Map<string, { id: string; token: string }>();
  for (const name of members) {
    const person = await makeUser(prism, name, ["RuleManager"]);
    people.set(name, person);
    await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: person.id, role: "viewer" });
  }
  const rule = {
    name: "orders",
    condition: "event.type != 'never'",
    targetRoles: ["RuleManager"],
    projectId: shop.id,
  };
  return { prism, shop, people, rule };
}

const ok = async (reply: Promise<Reply>): Promise<string> => {
  const { status, text, body } = await reply;
  assert.ok(status < 300, `${status} ${text}`);
  return String(body["id"]);
};

/** What was planned and has ended: webhook and user. */
const delivered = (prism: TestPrism) =>
  rowsOf<{ target: string; userId: string; state: string }>(
    prism,
    "select target, userId, state from deliveries where channel = 'webhook' order by userId, target",
  );

test("an event calls the project's webhook once and its recipients' own, whatever the recipients prefer", async (t) => {
  const { prism, shop, people, rule } = await shopWith(t, ["ann", "ben", "cem"]);
  const [ofShop, ofAnn, ofBen] = [await WebPeer.start(t), await WebPeer.start(t), await WebPeer.start(t)];
  const as = (name: string) => ({ token: people.get(name)?.token ?? "" });
  const shops = await ok(
    prism.post("/api/v1/webhooks", { url: ofShop.url, projectId: shop.id, eventTypes: ["order.*"] }),
  );
  const anns = await ok(prism.post("/api/v1/webhooks", { url: ofAnn.url }, as("ann")));
  await ok(prism.post("/api/v1/webhooks", { url: ofBen.url }, as("ben")));
  await ok(prism.put("/api/v1/users/me/preferences", { channels: { rule: ["in_app"] } }, as("ben")));
  await ok(prism.post("/api/v1/rules", { ...rule, channels: ["in_app", "webhook"] }));
  const paid = await ok(prism.post("/api/v1/events", { type: "order.paid", projectId: shop.id }));
  await ok(prism.post("/api/v1/events", { type: "refund", projectId: shop.id }));
  await eventually("everything has ended", () => {
    const rows = delivered(prism);
    return rows.length === 5 && rows.every(({ state }) => state === "delivered" || state === "skipped");
  });
  assert.deepEqual(valuesOf(callsOf(ofShop), "eventId"), [paid], "once, and not for a refund");
  assert.deepEqual(valuesOf(callsOf(ofAnn), "userId"), [people.get("ann")?.id, people.get("ann")?.id]);
  assert.equal(ofBen.received.length, 0);
  const states = delivered(prism);
  assert.deepEqual(states[0], { target: shops, userId: "", state: "delivered" });
  assert.equal(states.filter(({ target }) => target === anns).length, 2);
  assert.equal(states.filter(({ state }) => state === "skipped").length, 2, "Ben's");
});

test("a rule that does not name the channel calls no webhook", async (t) => {
  const { prism, shop, rule } = await shopWith(t, ["ann"]);
  const peer = await WebPeer.start(t);
  await ok(prism.post("/api/v1/webhooks", { url: peer.url, projectId: shop.id }));
  await ok(prism.post("/api/v1/rules", { ...rule, name: "silent" }));
  await ok(prism.post("/api/v1/events", { type: "order.paid", projectId: shop.id }));
  await ok(prism.post("/api/v1/rules", { ...rule, name: "loud", channels: ["webhook"] }));
  await ok(prism.post("/api/v1/events", { type: "order.sent", projectId: shop.id }));
  await eventually("the second event's call", () => peer.received.length === 1);
  assert.equal(rowsOf(prism, "select 1 from notifications").length, 3, "all three matches have notified");
  assert.deepEqual(valuesOf(delivered(prism), "userId"), [""]);
});

test("many recipients in several slices are one call of the project's webhook", async (t) => {
  const { prism, shop, rule } = await shopWith(t, []);
  const peer = await WebPeer.start(t);
  const at = prism.parts.base.clock.now();
  const ids = Array.from({ length: 600 }, (_, n) => `user-${String(n).padStart(4, "0")}`);
  await prism.services.db.write(async (trx) => {
    const role = await trx.selectFrom("roles").select("id").where("name", "=", "RuleManager").executeTakeFirstOrThrow();
    for (const id of ids) {
      await trx.insertInto("users").values({ id, status: "active", createdAt: at, updatedAt: at }).execute();
      await trx.insertInto("user_roles").values({ userId: id, roleId: role.id, createdAt: at }).execute();
      await trx
        .insertInto("project_members")
        .values({ projectId: shop.id, userId: id, role: "viewer", createdAt: at })
        .execute();
    }
  });
  prism.rightsChanged();
  await ok(prism.post("/api/v1/webhooks", { url: peer.url, projectId: shop.id }));
  await ok(prism.post("/api/v1/rules", { ...rule, channels: ["in_app", "webhook"] }));
  await ok(prism.post("/api/v1/events", { type: "order.paid", projectId: shop.id }));
  await eventually(
    "every recipient is told, and all jobs have ended",
    () => {
      const [row] = rowsOf<{ n: number }>(prism, "select count(*) as n from notification_recipients");
      const open = rowsOf(prism, "select 1 from jobs where finishedAt is null and queue = 'notification-delivery'");
      return row?.n === 600 && open.length === 0 && peer.received.length > 0;
    },
    60_000,
  );
  assert.equal(peer.received.length, 1);
  assert.equal(delivered(prism).length, 1);
});
