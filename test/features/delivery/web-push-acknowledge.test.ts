import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { rowsOf } from "../../helpers/tables.ts";
import { openWebPushWorld, SUBSCRIPTIONS } from "./support/web-push-world.ts";

const DAY_MS = 86_400_000;

/** Ann's browser shows a notification; `acknowledge` is its button, without a login. */
async function openWithMessage(t: TestContext) {
  const opened = await openWebPushWorld(t);
  const { world, prism, ann, subscribe, messages } = opened;
  const subscription = (await subscribe()).body.id;
  const id = await world.notify([ann.id], ["webpush"]);
  await world.only(id, "delivered");
  const token = messages()[0]?.acknowledgeToken ?? "";
  const acknowledge = async (given = token): Promise<string> => {
    const reply = await prism.post<{ id?: string; error?: { code: string } }>(
      "/api/v1/push/acknowledge",
      { token: given },
      { token: null },
    );
    return `${reply.status} ${reply.body.error?.code ?? reply.body.id}`;
  };
  const state = () => {
    const find = "select acknowledgedAt, readAt from notification_recipients where notificationId = ?";
    return rowsOf<{ acknowledgedAt: number | null; readAt: number | null }>(prism, find, id)[0];
  };
  return { ...opened, subscription, id, token, acknowledge, state };
}

test("the button of a push message acknowledges without a login, once, in the user's name", async (t) => {
  const { world, prism, ann, id, acknowledge, state } = await openWithMessage(t);
  const at = world.clock.now();
  assert.equal(await acknowledge(), `200 ${id}`);
  assert.deepEqual(state(), { acknowledgedAt: at, readAt: at });
  world.clock.advance(1000);
  assert.equal(await acknowledge(), `200 ${id}`);
  assert.equal(state()?.acknowledgedAt, at);
  const find = "select userId, metadata from audit_log where action = 'notification.acknowledged'";
  assert.deepEqual(rowsOf(prism, find), [{ userId: ann.id, metadata: '{"through":"webpush"}' }]);
});

test("a token counts for seven days, unchanged, for one notification", async (t) => {
  const { world, ann, token, acknowledge, state } = await openWithMessage(t);
  const other = await world.notify([ann.id], ["in_app"]);
  const [subscription = "", , until = "", signature = ""] = token.split(".");
  const changed = [
    "",
    "a.b.c.d",
    token.slice(0, -1),
    [subscription, other, until, signature].join("."),
    [subscription, token.split(".")[1], String(Number(until) + 1), signature].join("."),
  ];
  for (const each of changed) assert.equal(await acknowledge(each), "401 TOKEN_INVALID", each);
  world.clock.advance(7 * DAY_MS - 1000);
  assert.notEqual(await acknowledge(), "401 TOKEN_EXPIRED");
  world.clock.advance(2000);
  assert.equal(await acknowledge(), "401 TOKEN_EXPIRED");
  assert.notEqual(state()?.acknowledgedAt, null);
});

test("a token ends with its subscription", async (t) => {
  const { prism, ann, subscription, acknowledge, state } = await openWithMessage(t);
  assert.equal((await prism.delete(`${SUBSCRIPTIONS}/${subscription}`, { token: ann.token })).status, 204);
  assert.equal(await acknowledge(), "401 TOKEN_INVALID");
  assert.equal(state()?.acknowledgedAt, null);
});

test("a token ends with the account, and one whose notification is gone says so", async (t) => {
  const { prism, ann, id, acknowledge, state } = await openWithMessage(t);
  assert.equal((await prism.delete(`/api/v1/notifications/${id}`, { token: ann.token })).status, 204);
  assert.equal(await acknowledge(), "404 NOTIFICATION_NOT_FOUND");
  await prism.patch(`/api/v1/users/${ann.id}`, { status: "disabled" });
  assert.equal(await acknowledge(), "401 TOKEN_INVALID");
  assert.equal(state()?.acknowledgedAt, null);
});
