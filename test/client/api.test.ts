import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket } from "ws";
import { PrismClient, PrismError } from "../../src/client/index.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { LiveServer } from "../live/support/live-server.ts";

test("notifications are listed, missed ones read, marked, acknowledged and removed", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const { api } = new PrismClient({ url: `${prism.url}/`, token: uma.token, WebSocket });
  for (const title of ["one", "two", "three"])
    await prism.post("/api/v1/notifications", { userId: uma.id, title, message: "m" });

  const page = await api.notifications({ status: "unread", limit: 2 });
  assert.deepEqual(
    page.data.map(({ title }) => title),
    ["three", "two"],
  );
  const rest = await api.notifications({ status: "unread", limit: 2, cursor: page.nextCursor ?? "" });
  assert.deepEqual(
    rest.data.map(({ title }) => title),
    ["one"],
  );
  const [three, two] = page.data;
  assert.ok(three && two);
  const missed = await api.missed({ since: two.offset, ack: true });
  assert.deepEqual(
    missed.data.map(({ id }) => id),
    [three.id],
  );
  assert.equal(await api.unreadCount(), 3);
  assert.equal((await api.markRead(three.id)).read, true);
  assert.equal((await api.acknowledge(two.id, { note: "on it" })).me.acknowledgedAt === null, false);
  assert.deepEqual(await api.markAllRead(), { updated: 1 });
  await api.deleteNotification(three.id);
  await assert.rejects(api.markRead(three.id), { code: "NOTIFICATION_NOT_FOUND", status: 404 });
  await assert.rejects(api.markRead("../x"), { code: "NOTIFICATION_NOT_FOUND" });
  assert.equal(await api.unreadCount(), 0);
});

test("events are sent alone and together, once for each idempotency key; channels are published to", async (t) => {
  const server = await LiveServer.start(t);
  const { api } = new PrismClient({ url: server.prism.url, token: server.apiKey, WebSocket });
  const single = await api.sendEvent({ type: "order.paid", payload: { n: 1 }, level: "info" });
  assert.equal(single.status, "accepted");
  const key = { idempotencyKey: "batch-1" };
  const batch = [{ type: "a", payload: {} }, { type: "" }];
  const [first, again] = [await api.sendEvents(batch, key), await api.sendEvents(batch, key)];
  assert.deepEqual([first.accepted, first.rejected, again.firstSeq], [1, 1, first.firstSeq]);

  const admin = new PrismClient({ url: server.prism.url, token: server.prism.adminToken, WebSocket });
  assert.ok((await admin.api.publish("channel:lobby", "hello", { to: "all" })).offset > 0);
  assert.match((await admin.api.ticket("user:me")).ticket, /^[\w-]{43}$/);
  await assert.rejects(api.publish("channel:lobby", "hello", null), { status: 403 });
});

test("an error has the server's code, status, request id, details and time to wait", async (t) => {
  const server = await LiveServer.start(t);
  const { api } = new PrismClient({ url: server.prism.url, token: server.apiKey, WebSocket });
  const error = await api.sendEvent({ type: "" }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof PrismError);
  assert.deepEqual([error.code, error.status, error.details[0]?.path], ["VALIDATION_FAILED", 400, "type"]);
  assert.match(String(error.requestId), /^[\w-]{10,}$/);

  const limited = await LiveServer.start(t, { settings: { "rateLimit.user": "2" } });
  const client = new PrismClient({ url: limited.prism.url, token: limited.prism.adminToken, WebSocket });
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => client.api.unreadCount()));
  const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as PrismError] : []));
  assert.ok(refused.length > 0);
  assert.equal(refused[0]?.code, "RATE_LIMITED");
  assert.ok((refused[0]?.retryAfterMs ?? 0) >= 1000);
});

test("a refused token is replaced once for all requests that had it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const asked: string[] = [];
  const getToken = async (reason: string) => {
    asked.push(reason);
    return reason === "none" ? "stale" : uma.token;
  };
  const { api } = new PrismClient({ url: prism.url, getToken, WebSocket });
  assert.deepEqual(await Promise.all([api.unreadCount(), api.unreadCount(), api.unreadCount()]), [0, 0, 0]);
  assert.deepEqual(asked, ["none", "refused"]);
});

test("a server that cannot be reached, and one that is not Prism, have different errors", async (t) => {
  const prism = await startPrism(t);
  const gone = new PrismClient({ url: "http://127.0.0.1:1", token: "t", WebSocket });
  await assert.rejects(gone.api.unreadCount(), { code: "CONNECTION_FAILED" });
  const fetch = async () => new Response("<html>", { status: 502 });
  const other = new PrismClient({ url: prism.url, token: "t", WebSocket, fetch });
  await assert.rejects(other.api.unreadCount(), { code: "BAD_REPLY", status: 502 });
});
